// One element of an update, one text for every backend. g: gradient before clipping, w: weight, m and v: moments.
// Before it is included: REAL and INLINE, ADD SUB MUL DIV SQRT, ONE, and LESS(a, b).
// scale and limit: clipping (norm: scale = clip / (|g| + 1e-6) if |g| > clip, else 1; value: limit = clip, else
// infinite). rate and root: slots BPTT_RATE and BPTT_ROOT.

INLINE REAL clipped(REAL g, REAL scale, REAL limit)
{
    const REAL s = MUL(g, scale);
    return LESS(limit, s) ? limit : LESS(s, SUB(ZERO, limit)) ? SUB(ZERO, limit) : s;
}

// SGD: m = momentum m + g;  w = w - rate m
INLINE REAL sgd_m(REAL g, REAL m, REAL momentum) { return ADD(MUL(momentum, m), g); }
INLINE REAL sgd_w(REAL w, REAL m, REAL rate) { return SUB(w, MUL(rate, m)); }

// Running means: m = beta m + (1 - beta) g,  v = beta v + (1 - beta) g g;  rest = 1 - beta, rounded once
INLINE REAL mean_of(REAL m, REAL g, REAL beta, REAL rest) { return ADD(MUL(beta, m), MUL(rest, g)); }
INLINE REAL mean_square(REAL v, REAL g, REAL beta, REAL rest) { return ADD(MUL(beta, v), MUL(rest, MUL(g, g))); }

// RMSProp (Torch7): w = w - rate g / (sqrt v + epsilon)
INLINE REAL rmsprop_w(REAL w, REAL g, REAL v, REAL rate, REAL epsilon)
{
    return SUB(w, DIV(MUL(rate, g), ADD(SQRT(v), epsilon)));
}

// Adam: w = w - rate m / (sqrt v / root + epsilon)
INLINE REAL adam_w(REAL w, REAL m, REAL v, REAL rate, REAL root, REAL epsilon)
{
    return SUB(w, DIV(MUL(rate, m), ADD(DIV(SQRT(v), root), epsilon)));
}
