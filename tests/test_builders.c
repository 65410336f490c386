// The part `builders` of `bptt verify` on this machine; the public interface of builders, chains and last gradients;
// bugs planted into a builder of one's own, each of which a law must see.
#include "builders.h"
#include "nets.h"
#include "part_holds.h"
#include "suite.h"

// ---- every claim holds --------------------------------------------------------------------------

static void all_hold(const char *backend)
{
    const part_lines lines = part_holds(verify_builders, "builders", backend);
    ck_assert_uint_eq(lines.n, CHAIN_LAWS + WINDOW_LAWS);
}

START_TEST(every_claim_holds_on_every_backend_that_is_present) { all_hold(placed_on()); }
END_TEST
START_TEST(every_claim_holds_on_a_backend_that_is_named) { all_hold("ref"); }
END_TEST
START_TEST(a_backend_that_is_not_there_is_an_error_and_not_a_claim)
{
    part_refuses_a_backend(verify_builders, "builders");
}
END_TEST

// ---- planted ------------------------------------------------------------------------------------

// Bug planted in a builder that is otherwise whole_trace_builder().
typedef enum fault {
    NOTHING,
    JVP_FORGETS,    // a slot
    VJP_FORGETS,    // a slot
    VJP_OVERWRITES, // a slot, instead of adding
    VJP_TWICE,      // all of it
    STATE_DROPPED,  // no gradient of h
    INPUT_DROPPED,  // no gradient of x
    APPLY_STALE,    // makes h of the h before, where the derivative says next
} fault;

typedef struct planted {
    fault what;
    int slot;
} planted;

enum { SLOTS = 5, SLOT_ROOM = 64 }; // more than 3 rows of 5 + 5

static bptt_elman_trace with_slot(const bptt_elman_trace *t, int slot, double *other)
{
    bptt_elman_trace changed = *t;
    void **const all[SLOTS] = {&changed.x, &changed.h, &changed.concat, &changed.pre, &changed.next};
    *all[slot] = other;
    return changed;
}

static bptt_status planted_apply(const bptt_builder_call *at, void *x, void *h, bptt_error *e)
{
    const planted *p = at->user;
    const bptt_elman_trace stale = with_slot(at->trace, 4, at->trace->h);
    const bptt_builder_call before = {NULL, at->from, at->to, &stale};
    return whole_trace_builder().apply(p->what == APPLY_STALE ? &before : at, x, h, e);
}

static bptt_status planted_jvp(const bptt_builder_call *at, const bptt_elman_trace *d, void *dx, void *dh,
                               bptt_error *e)
{
    const planted *p = at->user;
    double zeros[SLOT_ROOM] = {0};
    const bptt_elman_trace less = with_slot(d, p->slot, zeros);
    return whole_trace_builder().jvp(at, p->what == JVP_FORGETS ? &less : d, dx, dh, e);
}

static bptt_status planted_vjp(const bptt_builder_call *at, const void *dx, const void *dh, const bptt_elman_trace *s,
                               bptt_error *e)
{
    const planted *p = at->user;
    const bptt_elman *from = at->from;
    const bptt_builder right = whole_trace_builder();
    double other[SLOT_ROOM] = {0};
    const bptt_elman_trace less = with_slot(s, p->slot, other);
    const bool apart = p->what == VJP_FORGETS || p->what == VJP_OVERWRITES;
    const bptt_status st = right.vjp(at, p->what == INPUT_DROPPED ? other : dx, p->what == STATE_DROPPED ? other : dh,
                                     apart ? &less : s, e);
    if (p->what == VJP_TWICE) return right.vjp(at, dx, dh, s, e);
    const size_t n[SLOTS] = {from->I, from->H, from->I + from->H, from->H, from->H};
    void *const slot[SLOTS] = {s->x, s->h, s->concat, s->pre, s->next};
    if (p->what == VJP_OVERWRITES) memcpy(slot[p->slot], other, from->B * n[p->slot] * sizeof(double));
    return st;
}

// Bit mask of the laws that detect the fault.
static unsigned seen(fault what, int slot)
{
    planted p = {what, slot};
    tally t[CHAIN_LAWS] = {{0}};
    const bptt_builder own = {planted_apply, planted_jvp, planted_vjp, &p};
    unsigned laws = 0;
    CK_OK(chain_laws(&own, t, NULL));
    for (unsigned i = 0; i < CHAIN_LAWS; i++) laws |= tally_holds(&t[i]) ? 0 : 1u << i;
    return laws;
}

static void must_see(fault what, int slot, unsigned laws)
{
    const unsigned found = seen(what, slot);
    CK_TRUE((found & laws) == laws, "fault %d in slot %d: laws %#x see it, not %#x", (int)what, slot, found, laws);
}

START_TEST(a_law_sees_whatever_is_planted_into_a_builder)
{
    const unsigned adjoint = 1u << BUILDER_ADJOINT | 1u << CHAIN_ADJOINT, derivative = 1u << BUILDER_DERIVATIVE;
    ck_assert_uint_eq(seen(NOTHING, 0), 0);
    for (int slot = 0; slot < SLOTS; slot++) {
        must_see(JVP_FORGETS, slot, derivative | adjoint);
        must_see(VJP_FORGETS, slot, adjoint);
        must_see(VJP_OVERWRITES, slot, 1u << CHAIN_ADJOINT); // only where a cotangent stands there already
    }
    must_see(VJP_TWICE, 0, adjoint);
    must_see(STATE_DROPPED, 0, adjoint);
    must_see(INPUT_DROPPED, 0, adjoint);
    must_see(APPLY_STALE, 0, derivative);
}
END_TEST

// ---- builders by hand ---------------------------------------------------------------------------

// Two rows; next = {1, -2 | 3, 0.5}.
enum { B = 2, W = 2 };
static const double GIVEN[] = {7, 8, 9, 10}, NEXT[] = {1, -2, 3, 0.5}, KEEP[] = {0, 0.5};

static void by_hand(bptt_builder_kind kind, const double *x, const double *h, const double *s_next)
{
    const bptt_elman cell = {.type = BPTT_F64, .B = B, .I = W, .H = W};
    const double readout[] = {1, 0, 0, 6}, dx[] = {10, 20, 30, 40}, dh[] = {1, 2, 3, 4}; // 1 > -12; 3 = 3
    const bptt_context c = {kind, GIVEN, GIVEN, KEEP, readout};
    const bptt_builder b = bptt_context_builder(&c);
    double next[4], got_x[4], got_h[4], s[4] = {100, 100, 100, 100};
    memcpy(next, NEXT, sizeof next);
    const bptt_elman_trace trace = {.next = next}, cotangent = {.next = s};
    const bptt_builder_call at = {b.user, &cell, &cell, &trace};
    CK_OK(b.apply(&at, got_x, got_h, NULL));
    CK_NEAR(near_all(got_x, x, NULL, 4), "x");
    CK_NEAR(near_all(got_h, h, NULL, 4), "h");
    CK_OK(b.vjp(&at, dx, dh, &cotangent, NULL));
    CK_NEAR(near_all(s, s_next, NULL, 4), "cotangent of next");
}

START_TEST(each_builder_gives_what_a_hand_computes)
{
    const double reset[] = {0, -0.0, 1.5, 0.25}, onehot[] = {1, 0, 1, 0};
    by_hand(BPTT_TEACHER, GIVEN, NEXT, (double[]){101, 102, 103, 104});
    by_hand(BPTT_STACK, NEXT, GIVEN, (double[]){110, 120, 130, 140});
    by_hand(BPTT_RESET, GIVEN, reset, (double[]){100, 100, 101.5, 102});
    by_hand(BPTT_TRUNCATE, GIVEN, NEXT, (double[]){100, 100, 100, 100});
    by_hand(BPTT_FEEDBACK, onehot, NEXT, (double[]){101, 102, 103, 104});
}
END_TEST

// Two steps of one unit in float: x = 1, W = [2 3], relu; h = 1 -> 5, teacher x = 2 -> 19. dz = 1 in both.
START_TEST(a_chain_in_float_gives_what_a_hand_computes)
{
    const float weights[] = {2, 3}, bias = 0, second = 2;
    const bptt_elman cell[2] = {{BPTT_F32, BPTT_RELU, 1, 1, 1, weights, &bias},
                                {BPTT_F32, BPTT_RELU, 1, 1, 1, weights, &bias}};
    const bptt_context c = {.kind = BPTT_TEACHER, .x = &second};
    const bptt_builder join = bptt_context_builder(&c);
    const bptt_chain chain = {2, cell, &join};
    float at[2][6] = {{1, 1}, {0}}, s[2][6] = {{0}, {[5] = 1}}, d[2][6] = {{1, 1}, {0}}, dW[2] = {0}, db = 0;
    bptt_elman_trace trace[2], ds[2], tangent[2];
    for (int t = 0; t < 2; t++) {
        trace[t] = (bptt_elman_trace){at[t], at[t] + 1, at[t] + 2, at[t] + 4, at[t] + 5};
        ds[t] = (bptt_elman_trace){s[t], s[t] + 1, s[t] + 2, s[t] + 4, s[t] + 5};
        tangent[t] = (bptt_elman_trace){d[t], d[t] + 1, d[t] + 2, d[t] + 4, d[t] + 5};
    }
    CK_OK(bptt_chain_forward(&chain, trace, NULL));
    CK_OK(bptt_chain_jvp(&chain, trace, tangent, NULL, NULL, NULL));
    CK_OK(bptt_chain_vjp(&chain, trace, ds, (void *const[]){dW, dW}, (void *const[]){&db, &db}, NULL));
    const double got[] = {at[0][5], at[1][0], at[1][5], d[1][5], s[0][0], s[0][1], dW[0], dW[1], db};
    const double want[] = {5, 2, 19, 15, 6, 9, 2 + 3, 5 + 3, 1 + 3};
    CK_NEAR(near_all(got, want, NULL, 9), "a chain of two");
}
END_TEST

static bptt_status refuse(const bptt_builder_call *at, void *x, void *h, bptt_error *e)
{
    (void)at, (void)x, (void)h, (void)e;
    return BPTT_CANCELLED;
}

START_TEST(chains_that_do_not_fit_are_refused)
{
    const double weights[12] = {0}, bias[3] = {0};
    bptt_elman cell[2] = {{BPTT_F64, BPTT_TANH, 1, 1, 1, weights, bias}, {BPTT_F64, BPTT_TANH, 1, 1, 1, weights, bias}};
    bptt_context c = {.kind = BPTT_TEACHER, .x = bias};
    bptt_builder join = bptt_context_builder(&c);
    double memory[2][8] = {{0}};
    bptt_elman_trace t[2];
    for (int i = 0; i < 2; i++)
        t[i] = (bptt_elman_trace){memory[i], memory[i] + 1, memory[i] + 2, memory[i] + 4, memory[i] + 5};
    const bptt_chain chain = {2, cell, &join};
    CK_OK(bptt_chain_forward(&chain, t, NULL));
    ck_assert_int_eq(bptt_chain_forward(&(bptt_chain){0, cell, &join}, t, NULL), BPTT_BAD_CONFIG);
    ck_assert_int_eq(bptt_chain_forward(&(bptt_chain){2, cell, NULL}, t, NULL), BPTT_BAD_CONFIG);
    ck_assert_int_eq(bptt_chain_forward(&chain, NULL, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_chain_jvp(&chain, t, NULL, NULL, NULL, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_chain_vjp(&chain, t, NULL, NULL, NULL, NULL), BPTT_BAD_INPUT);
    t[1].pre = NULL;
    ck_assert_int_eq(bptt_chain_forward(&chain, t, NULL), BPTT_BAD_INPUT);
    t[1].pre = memory[1] + 4;
    cell[1].H = 2; // a teacher cannot widen the state
    ck_assert_int_eq(bptt_chain_forward(&chain, t, NULL), BPTT_BAD_CONFIG);
    cell[1].H = 1, cell[1].type = BPTT_F32;
    ck_assert_int_eq(bptt_chain_forward(&chain, t, NULL), BPTT_BAD_CONFIG);
    cell[1].type = BPTT_F64, c.kind = BPTT_RESET; // without keep
    ck_assert_int_eq(bptt_chain_forward(&chain, t, NULL), BPTT_BAD_INPUT);
    c.kind = BPTT_STACK, c.h = bias, cell[1].I = 2;
    ck_assert_int_eq(bptt_chain_forward(&chain, t, NULL), BPTT_BAD_CONFIG);
    cell[1].I = 1, c.kind = (bptt_builder_kind)99;
    ck_assert_int_eq(bptt_chain_forward(&chain, t, NULL), BPTT_BAD_CONFIG);
    join.apply = refuse;
    ck_assert_int_eq(bptt_chain_forward(&chain, t, NULL), BPTT_CANCELLED);
    join.vjp = NULL;
    ck_assert_int_eq(bptt_chain_forward(&chain, t, NULL), BPTT_BAD_INPUT);
}
END_TEST

// ---- last gradients -----------------------------------------------------------------------------

START_TEST(a_last_gradient_stays_until_written_again_and_zeros_are_none)
{
    bptt_model_config c = net_config("cpu", BPTT_F32, 9, 7, 2);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1, .last_gradient = 1});
    bptt_run *plain = NULL;
    CK_OK(bptt_run_open(n.m, &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 3, .steps = 4, .gradient = 1},
                        &plain, NULL));
    ck_assert_int_eq(bptt_run_write_last_gradient(plain, n.h0, BPTT_F64, NULL), BPTT_BAD_INPUT);
    ck_assert_int_eq(bptt_run_write_last_gradient(n.r, NULL, BPTT_F64, NULL), BPTT_BAD_INPUT);
    const size_t P = bptt_model_parameters(n.m);
    double *g[5], *zeros = reals(2 * 3 * 7);
    for (int i = 0; i < 5; i++) { // none yet; none in a plain run; some; the same again; zeros
        bptt_run *r = i == 1 ? plain : n.r;
        if (i == 2 || i == 4) CK_OK(bptt_run_write_last_gradient(r, i == 2 ? n.h0 : zeros, BPTT_F64, NULL));
        CK_OK(bptt_run_reset(r, NULL));
        CK_OK(bptt_run_gradient(r, &n.w, NULL, NULL));
        g[i] = net_part(n.m, BPTT_GRADIENT);
    }
    ck_assert(same_bits(g[0], g[1], P));
    ck_assert(!same_bits(g[0], g[2], P));
    ck_assert(same_bits(g[2], g[3], P));
    ck_assert(same_bits(g[0], g[4], P));
    for (int i = 0; i < 5; i++) free(g[i]);
    free(zeros);
    bptt_run_close(plain);
    net_close(&n);
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    CK_OK(bptt_model_open(&c, &m, NULL));
    ck_assert_int_eq(
        bptt_run_open(m,
                      &(bptt_run_config){.size = sizeof(bptt_run_config), .batch = 1, .steps = 1, .last_gradient = 1},
                      &r, NULL),
        BPTT_BAD_CONFIG);
    bptt_model_close(m);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, every_claim_holds_on_every_backend_that_is_present);
    tcase_add_test(c, every_claim_holds_on_a_backend_that_is_named);
    tcase_add_test(c, a_backend_that_is_not_there_is_an_error_and_not_a_claim);
    tcase_add_test(c, a_law_sees_whatever_is_planted_into_a_builder);
    tcase_add_test(c, each_builder_gives_what_a_hand_computes);
    tcase_add_test(c, a_chain_in_float_gives_what_a_hand_computes);
    tcase_add_test(c, chains_that_do_not_fit_are_refused);
    tcase_add_test(c, a_last_gradient_stays_until_written_again_and_zeros_are_none);
}

int main(void) { return run_suite("builders", add, 60); }
