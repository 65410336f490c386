// Arithmetic of number types built into C, by operators: shared by their number_*.h.
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define MUL(a, b) ((a) * (b))
#define DIV(a, b) ((a) / (b))

#define TOTAL_ADD(a, b) ((a) + (b))
#define TOTAL_SUB(a, b) ((a) - (b))
#define TOTAL_MUL(a, b) ((a) * (b))
#define TOTAL_DIV(a, b) ((a) / (b))
#define TOTAL_NEG(a) (-(a))
#define TOTAL_FROM(x) ((TOTAL)(x)) // from a REAL
#define TOTAL_OF(x) (x)            // from a double
#define REAL_OF(x) REAL_FROM(x)    // from a double
