// `bptt verify cell`: the seed's cell.
#include "identity.h"
#include "report.h"

#include <math.h>

static const struct {
    size_t B, I, H;
} shape[] = {{1, 1, 1}, {1, 7, 1}, {7, 1, 7}, {3, 33, 7}, {7, 50, 33}, {1, 65, 50}};
enum { SHAPES = sizeof shape / sizeof shape[0] };

static bptt_status check_identity(const verify_options *o, size_t *failures, bptt_error *e)
{
    const cell_calls judged = {bptt_elman_forward, bptt_elman_vjp};
    bool formula = true, adjoint = true;
    size_t maps = 0;
    for (int cell = 0; cell < BPTT_PLAIN_CELLS; cell++)
        for (size_t i = 0; i < SHAPES; i++)
            for (unsigned slots = 1; slots <= CELL_ALL_SLOTS; slots++, maps++) {
                const cell_case c = {(bptt_cell)cell, shape[i].B, shape[i].I, shape[i].H, slots};
                cell_verdict v;
                const bptt_status s = identity_cell(&judged, &c, &v, e);
                if (s) return s;
                formula = formula && v.formula, adjoint = adjoint && v.adjoint;
            }
    report_line(
        o, failures,
        (verify_line){"cell", "one step computes concat = [x; h] and pre = W concat + b", EVIDENCE_EXACT, formula, 0},
        "every element, in integers modulo p = 2^61 - 1; %d shapes of %d cells, B to 7, I to 65, H to 50", SHAPES,
        BPTT_PLAIN_CELLS);
    report_line(
        o, failures,
        (verify_line){"cell", "its gradients are right: backward is the transpose of forward's derivative",
                      EVIDENCE_EXACT, adjoint, 0},
        "dx, dh, dW, db together, for any gradients of its 5 tensors in all %d combinations: <J d, s> = <d, J' s> "
        "modulo p in %zu cases; an error would pass with probability below 1e-16",
        CELL_ALL_SLOTS, maps);
    return BPTT_OK;
}

// Assumption of the exact checks: cells.h computes f'(z) from y = f(z). Here tanh' is compared with 1 / cosh^2.
static bptt_status check_derivatives(const verify_options *o, size_t *failures, bptt_error *e)
{
    enum { POINTS = 80001 };
    const double one = 1, zero = 0, u = 0x1p-53;
    double worst = 0;
    bool holds = true;
    for (int i = 0; i < POINTS; i++) {
        const double x = (i - POINTS / 2) / 2000.0; // -20 .. 20
        const bptt_elman cell = {BPTT_F64, BPTT_TANH, 1, 1, 1, (double[]){1, 1}, &zero};
        double concat[2], y = 0, dx = 0, dh = 0;
        bptt_status s = bptt_elman_forward(&cell, &x, &zero, concat, NULL, &y, e);
        if (!s) s = bptt_elman_vjp(&cell, concat, &y, &(bptt_elman_cotangent){.next = &one}, &dx, &dh, NULL, NULL, e);
        if (s) return s;
        const double off = fabs(dx - 1 / (cosh(x) * cosh(x)));
        worst = fmax(worst, off);
        holds = holds && off <= 12 * u; // false for NaN
    }
    // a good tanh is off by at most 2u, so 1 - y y by 4u; plus two roundings, and five of the expected value
    report_line(
        o, failures,
        (verify_line){"cell", "the slope that it takes for tanh's, 1 - y y, is 1 / cosh^2", EVIDENCE_SAMPLED, holds, 0},
        "%d points from -20 to 20 in double: off by %.2g at most, allowed %.2g", POINTS, worst, 12 * u);
    return BPTT_OK;
}

bptt_status verify_cell(const verify_options *o, size_t *failures, bptt_error *e)
{
    const bptt_status s = check_identity(o, failures, e);
    return s ? s : check_derivatives(o, failures, e);
}
