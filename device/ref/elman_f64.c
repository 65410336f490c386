// The seed's cell over double.
#include "number_f64.h"

#include "elman_text.h"
