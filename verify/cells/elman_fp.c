// The seed's cell over integers modulo p.
#include "number_fp.h"

#include "elman_text.h"
