// The seed's cell and its context builders over float.
#include "number_f32.h"

#include "elman_text.h"
#include "builder_text.h"
