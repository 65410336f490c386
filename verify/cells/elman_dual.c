// The seed's cell over dual numbers modulo p.
#include "number_dual.h"

#include "elman_text.h"
