// The seed's cell and its context builders over double.
#include "number_f64.h"

#include "elman_text.h"
#include "builder_text.h"
