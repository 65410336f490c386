// The seed's cell over float.
#include "number_f32.h"

#include "elman_text.h"
