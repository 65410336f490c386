// `bptt verify unroll`: correct nets pass, and every planted bug is detected by the claims that the
// table names. Bugs of the time loops are planted in the plans, those of an entry in a backend's table.
#include "gated_bugs.h"
#include "host_memory.h"
#include "identity.h"
#include "modp.h"
#include "ref_numbers.h"
#include "near.h"
#include "step.h"
#include "suite.h"
#include "verify.h"

enum { CELLS = 1 << NET_CELLS, CARRY = 1 << NET_CARRY, LAYERS = 1 << NET_LAYERS, LOSS = 1 << NET_LOSS };

// One layer, tokens, keep and weight, two decoder blocks, more steps than a forward-only run takes at a time; the same,
// but short; two layers, relu; two layers, dense; dense targets with skip.
static const net_case ONE = {BPTT_TANH, 5, 0, 4, 1, 2, 40, 2, true, false, 0, TOKENS};
static const net_case SHORT = {BPTT_TANH, 5, 0, 4, 1, 2, 8, 2, true, false, 0, TOKENS};
static const net_case RELU = {BPTT_RELU, 5, 0, 4, 2, 2, 8, 1, true, false, 0, TOKENS};
static const net_case TWO = {BPTT_TANH, 5, 3, 4, 2, 3, 5, 1, false, false, 0, TOKENS};
static const net_case DENSE = {BPTT_TANH, 2, 5, 4, 2, 3, 7, 1, true, false, 0, {3, BPTT_BINARY, true}};

// ---- bugs of the plan -------------------------------------------------------------------------------

static void (*bend)(bptt_plan *p); // planted bug, applied to every plan; a test program is one thread

// Appends an op to a plan with room for it.
static void append(void *with, const bptt_op *op)
{
    bptt_plan *p = with;
    if (p->ops == p->room) {
        p->room = 2 * p->room + 64;
        bptt_op *more = realloc(p->op, p->room * sizeof *more);
        if (!more) abort();
        p->op = more;
    }
    p->op[p->ops++] = *op;
}

// The plan that is run has no loops, so that a bug can stand at one step of time.
static bptt_status bent_prepare(bptt_device *d, const bptt_plan *p, void **handle, bptt_error *e)
{
    bptt_plan *bent = must_alloc(1, sizeof *bent);
    *bent = *p;
    bent->op = NULL, bent->ops = bent->room = 0;
    bptt_walk_plan(p, &(bptt_walk){.one = append, .with = bent});
    const size_t n = bent->ops;
    for (size_t i = 0; i <= n; i++) append(bent, &(bptt_op){0}); // room to grow
    bent->ops = n;
    bend(bent);
    return host_prepare(d, bent, handle, e);
}

static void bent_forget(bptt_device *d, void *handle)
{
    bptt_plan *bent = handle ? (bptt_plan *)((host_plan *)handle)->plan : NULL;
    if (bent) free(bent->op);
    free(bent);
    host_forget(d, handle);
}

// ONE
static void forward_reads_h_before(bptt_plan *p)
{
    size_t t = 0;
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_SCALE_ROWS && !p->op[i].beta && p->op[i].arg[2].rows == 2 && t++ % 32 > 0 &&
            p->op[i + 1].opcode == BPTT_GEMM && !p->op[i + 1].arg[1].t)
            one_step_early(&p->op[i].arg[1], 2);
}

// TWO: in the forward loops, from the second step on
static void forward_reads_h_twice_removed(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (is_gemm(&p->op[i], false, false, 1, 3, 4) && p->op[i - 1].opcode == BPTT_CELL_FORWARD)
            one_step_early(&p->op[i].arg[0], 3);
}

static void reverse_reads_y_one_step_early(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_CELL_BACKWARD) one_step_early(&p->op[i].arg[0], p->op[i].arg[0].rows);
}

static void dW_hh_from_the_states_after(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (is_gemm(&p->op[i], true, false, 0, 4, 4)) {
            one_step_late(&p->op[i].arg[0], 3);
            return; // the others are dW_ih
        }
}

static void recurrence_dropped_in_reverse(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (is_gemm(&p->op[i], false, true, 1, 3, 4)) drop(p, i--);
}

static void recurrence_overwrites_in_reverse(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (is_gemm(&p->op[i], false, true, 1, 3, 4)) p->op[i].beta = 0;
}

static void reverse_stops_one_step_early(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (is_gemm(&p->op[i], false, true, 1, 3, 4) && p->op[i + 1].opcode == BPTT_COPY) drop(p, i--);
}

static void dW_is_added_to_what_was_there(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_GEMM && p->op[i].arg[0].t) p->op[i].beta = 1;
}

static void db_is_added_to_what_was_there(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_COLSUM && p->op[i].arg[1].cols == 4) p->op[i].beta = 1;
}

static void decoder_blocks_overwrite(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (is_gemm(&p->op[i], true, false, 1, 4, 5)) p->op[i].beta = 0;
}

static void second_bias_has_no_gradient(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_COPY && p->op[i].arg[0].rows == 1) drop(p, i--);
}

static void layer_below_gets_nothing(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (is_gemm(&p->op[i], false, true, 0, 15, 4) && p->op[i - 1].opcode == BPTT_GEMM) drop(p, i--);
}

static void keep_is_forgotten_in_reverse(bptt_plan *p)
{
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_SCALE_ROWS && p->op[i - 1].opcode == BPTT_GEMM && p->op[i - 1].arg[1].t) {
            p->op[i - 1].arg[2] = p->op[i].arg[2], p->op[i - 1].beta = p->op[i].beta;
            drop(p, i--);
        }
}

// Of the forward copies of B rows in ONE, the first is state -> h(0), the second h(T) -> state, and so on.
static void drop_state_copies(bptt_plan *p, size_t odd)
{
    size_t n = 0;
    for (size_t i = 0; i < p->ops; i++)
        if (p->op[i].opcode == BPTT_COPY && p->op[i].arg[0].rows == 2 &&
            (i == 0 || p->op[i - 1].opcode != BPTT_SCALE_ROWS) && n++ % 2 == odd)
            drop(p, i--);
}
static void last_state_is_not_carried(bptt_plan *p) { drop_state_copies(p, 1); }
static void window_does_not_start_from_the_state(bptt_plan *p) { drop_state_copies(p, 0); }

// Step i of the plan, on B rows at a time, becomes T steps whose token blocks stand in reverse order.
static void reverse_time(bptt_plan *p, bptt_opcode entry)
{
    const size_t B = 2;
    for (size_t i = 0; i < p->ops; i++) {
        if (p->op[i].opcode != entry) continue;
        const bptt_op whole = p->op[i];
        const size_t T = whole.arg[0].rows / B;
        memmove(&p->op[i + T], &p->op[i + 1], (p->ops - i - 1) * sizeof whole);
        for (size_t t = 0; t < T; t++) {
            p->op[i + t] = whole;
            p->op[i + t].arg[0] = bptt_rows(whole.arg[0], (T - 1 - t) * B, B);
            bptt_mat *const rows = &p->op[i + t].arg[entry == BPTT_GATHER ? 2 : 1];
            *rows = bptt_rows(*rows, t * B, B);
            if (entry == BPTT_SCATTER) p->op[i + t].beta = t > 0;
        }
        p->ops += T - 1, i += T - 1;
    }
}
static void forward_reads_tokens_backwards(bptt_plan *p) { reverse_time(p, BPTT_GATHER); }
static void time_runs_backwards_both_ways(bptt_plan *p)
{
    reverse_time(p, BPTT_GATHER);
    reverse_time(p, BPTT_SCATTER);
}

// ---- bugs of an entry -------------------------------------------------------------------------------

static uint64_t *word(bptt_mat m, size_t i, size_t j)
{
    return (uint64_t *)m.buf->data + m.at + (m.t ? j * m.ld + i : i * m.ld + j);
}
static void as_it_is(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_ref_fp().op[s->opcode](d, s, slots);
}

// 1 - y where it must be 1 - y y.
static void rule_without_square(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    for (size_t i = 0; i < s->arg[2].rows; i++)
        for (size_t j = 0; j < s->arg[2].cols; j++)
            *word(s->arg[2], i, j) = modp_mul(*word(s->arg[1], i, j), modp_sub(1, *word(s->arg[0], i, j)));
}

static void relu_lets_all_through(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    for (size_t i = 0; i < s->arg[2].rows; i++)
        for (size_t j = 0; j < s->arg[2].cols; j++) *word(s->arg[2], i, j) = *word(s->arg[1], i, j);
}

static void one_wrong_element_of_dW(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    as_it_is(d, s, slots);
    if (s->arg[0].t) *word(s->arg[2], 1, 2) = modp_add(*word(s->arg[2], 1, 2), 1);
}

static void beta_is_ignored(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_op set = *s;
    set.beta = 0;
    as_it_is(d, &set, slots);
}

static void last_row_is_not_summed(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_op fewer = *s;
    fewer.arg[0].rows--;
    as_it_is(d, &fewer, slots);
}

static void repeated_tokens_overwrite(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    (void)d, (void)slots;
    for (size_t i = 0; i < s->arg[1].rows; i++)
        for (size_t j = 0; j < s->arg[1].cols; j++)
            *word(s->arg[2], (size_t)((const int32_t *)s->arg[0].buf->data)[s->arg[0].at + i], j) =
                *word(s->arg[1], i, j);
}

static void target_is_one_off(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_op off = *s;
    for (size_t i = 0; i < s->arg[2].rows; i++) {
        off.arg[0] = bptt_rows(s->arg[0], (i + 1) % s->arg[2].rows, 1), off.arg[1] = bptt_rows(s->arg[1], i, 1);
        off.arg[2] = bptt_rows(s->arg[2], i, 1), off.arg[3] = bptt_rows(s->arg[3], i, 1);
        as_it_is(d, &off, slots);
    }
}

static void weights_are_not_divided_by(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_slots ones = *slots;
    ones.scalar[BPTT_WEIGHT] = 1;
    as_it_is(d, s, &ones);
}

// DENSE
static void slopes_are_summed(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    as_it_is(d, s, slots);
    for (size_t i = 0; i < s->arg[2].rows; i++)
        for (size_t j = 0; j < s->arg[2].cols; j++)
            *word(s->arg[2], i, j) = modp_mul(*word(s->arg[2], i, j), s->arg[2].cols);
}

static void dense_targets_are_one_off(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_op off = *s;
    for (size_t i = 0; i + 1 < s->arg[2].rows; i++) {
        off.arg[0] = bptt_rows(s->arg[0], i + 1, 1), off.arg[1] = bptt_rows(s->arg[1], i, 1);
        off.arg[2] = bptt_rows(s->arg[2], i, 1), off.arg[3] = bptt_rows(s->arg[3], i, 1);
        as_it_is(d, &off, slots);
    }
}

// The gradient on the path around the layers: the copy of all outputs' gradients into columns of a wider matrix.
static void skip_is_forgotten_in_reverse(bptt_plan *p)
{
    for (size_t i = p->ops; i-- > 0;) {
        const bptt_op *s = &p->op[i];
        if (s->opcode == BPTT_COPY && s->arg[1].cols == DENSE.dense.M && s->arg[0].cols == DENSE.dense.M &&
            s->arg[1].ld > s->arg[0].ld)
            drop(p, i);
    }
}

// ---- the table --------------------------------------------------------------------------------------

static const struct {
    const char *what;
    const net_case *net;
    void (*plan)(bptt_plan *p);
    bptt_opcode opcode; // instead, an entry of the backend that the gradient is computed on
    bptt_op_function *function;
    int noticed_by; // exactly these claims
} BUG[] = {
    {"none", &ONE, NULL, 0, NULL, 0},
    {"none", &TWO, NULL, 0, NULL, 0},
    {"forward reads h(t-1)", &ONE, forward_reads_h_before, 0, NULL, CELLS | LAYERS | LOSS},
    {"forward reads h(t-1)", &TWO, forward_reads_h_twice_removed, 0, NULL, CELLS | LAYERS | LOSS},
    {"forward reads tokens backwards", &SHORT, forward_reads_tokens_backwards, 0, NULL, CELLS | LAYERS | LOSS},
    {"time runs backwards both ways", &SHORT, time_runs_backwards_both_ways, 0, NULL, CELLS},
    {"reverse reads y(t-1)", &TWO, reverse_reads_y_one_step_early, 0, NULL, LAYERS | LOSS},
    {"dW_hh from h[1..T]", &TWO, dW_hh_from_the_states_after, 0, NULL, LAYERS | LOSS},
    {"recurrence dropped", &TWO, recurrence_dropped_in_reverse, 0, NULL, LAYERS | LOSS},
    {"recurrence overwrites", &TWO, recurrence_overwrites_in_reverse, 0, NULL, LAYERS | LOSS},
    {"no gradient of the first state", &TWO, reverse_stops_one_step_early, 0, NULL, LAYERS | LOSS},
    {"dW added to the last one", &ONE, dW_is_added_to_what_was_there, 0, NULL, LAYERS | LOSS},
    {"db added to the last one", &ONE, db_is_added_to_what_was_there, 0, NULL, LAYERS | LOSS},
    {"decoder blocks overwrite", &ONE, decoder_blocks_overwrite, 0, NULL, LOSS},
    {"no gradient of the second bias", &ONE, second_bias_has_no_gradient, 0, NULL, LAYERS | LOSS},
    {"nothing to the layer below", &TWO, layer_below_gets_nothing, 0, NULL, LAYERS | LOSS},
    {"keep forgotten in reverse", &ONE, keep_is_forgotten_in_reverse, 0, NULL, LAYERS | LOSS},
    {"state not carried", &ONE, last_state_is_not_carried, 0, NULL, CARRY | LAYERS | LOSS},
    {"state not taken up", &ONE, window_does_not_start_from_the_state, 0, NULL, CARRY | LAYERS | LOSS},
    {"1 - y for 1 - y y", &ONE, NULL, BPTT_CELL_BACKWARD, rule_without_square, LAYERS | LOSS},
    {"relu lets all through", &RELU, NULL, BPTT_CELL_BACKWARD, relu_lets_all_through, LAYERS | LOSS},
    {"none", &RELU, NULL, 0, NULL, 0},
    {"one wrong element of dW", &TWO, NULL, BPTT_GEMM, one_wrong_element_of_dW, LAYERS | LOSS},
    {"beta ignored", &TWO, NULL, BPTT_GEMM, beta_is_ignored, CELLS | CARRY | LAYERS | LOSS},
    {"a row not summed", &ONE, NULL, BPTT_COLSUM, last_row_is_not_summed, LAYERS | LOSS},
    {"repeated tokens overwrite", &ONE, NULL, BPTT_SCATTER, repeated_tokens_overwrite, LAYERS | LOSS},
    {"targets one row off", &ONE, NULL, BPTT_SOFTMAX_XENT, target_is_one_off, LOSS},
    {"none", &LONG, NULL, 0, NULL, 0},
    {"none", &GATED, NULL, 0, NULL, 0},
    {"none", &TIMES, NULL, 0, NULL, 0},
    {"none", &RESET, NULL, 0, NULL, 0},
    {"c not carried", &LONG, c_is_not_carried, 0, NULL, CARRY | LAYERS | LOSS},
    {"no gradient of c before keep", &LONG, c_has_no_gradient_before_keep, 0, NULL, LAYERS | LOSS},
    {"the last gradient of c lost", &LONG, last_gradient_of_c_is_lost, 0, NULL, LAYERS},
    {"the gradient of c not cleared", &LONG, gradient_of_c_is_not_cleared, 0, NULL, LAYERS | LOSS},
    {"keep does not reach c", &LONG, keep_does_not_reach_c, 0, NULL, CELLS | LAYERS | LOSS},
    {"biases of the wrong blocks", &GATED, biases_change_places, 0, NULL, CELLS | LAYERS | LOSS},
    {"states before keep in reverse", &GATED, saved_states_before_keep, 0, NULL, LAYERS | LOSS},
    {"dW of the second product from h", &TIMES, second_dW_of_the_states, 0, NULL, LAYERS | LOSS},
    {"no second product", &TIMES, second_product_is_not_formed, 0, NULL, CELLS | LAYERS | LOSS},
    {"no path through the reset gate", &RESET, no_path_through_the_reset_gate, 0, NULL, LAYERS | LOSS},
    {"weights not divided by", &ONE, NULL, BPTT_SOFTMAX_XENT, weights_are_not_divided_by, LOSS},
    {"none", &DENSE, NULL, 0, NULL, 0},
    {"dense loss: weights not divided by", &DENSE, NULL, BPTT_DENSE_LOSS, weights_are_not_divided_by, LOSS},
    {"dense loss: slopes not divided by M", &DENSE, NULL, BPTT_DENSE_LOSS, slopes_are_summed, LOSS},
    {"dense loss: targets one row off", &DENSE, NULL, BPTT_DENSE_LOSS, dense_targets_are_one_off, LOSS},
    {"skip forgotten in reverse", &DENSE, skip_is_forgotten_in_reverse, 0, NULL, LOSS},
};
enum { BUGS = sizeof BUG / sizeof BUG[0] };

START_TEST(every_planted_bug_is_noticed_by_the_claims_that_it_breaks)
{
    net_tables t = {bptt_ref_fp(), bptt_ref_dual()};
    t.fp.logits_at_a_time = 1;
    if (BUG[_i].plan) {
        bend = BUG[_i].plan;
        t.fp.prepare = t.dual.prepare = bent_prepare;
        t.fp.forget = t.dual.forget = bent_forget;
    }
    if (BUG[_i].function) t.fp.op[BUG[_i].opcode] = BUG[_i].function;
    bool holds[NET_CLAIMS];
    bptt_error e = {0};
    CK_TRUE(identity_net(&t, BUG[_i].net, holds, &e) == BPTT_OK, "%s: %s", BUG[_i].what, e.words);
    int noticed_by = 0;
    for (int k = 0; k < NET_CLAIMS; k++) noticed_by |= !holds[k] << k;
    CK_TRUE(noticed_by == BUG[_i].noticed_by, "%s: noticed by claims %x, should be by %x", BUG[_i].what, noticed_by,
            BUG[_i].noticed_by);
}
END_TEST

// ---- numbers that are none --------------------------------------------------------------------------

static void first_loss_is_nan(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_ref_f64().op[BPTT_SOFTMAX_XENT](d, s, slots);
    ((double *)s->arg[3].buf->data)[s->arg[3].at] = (double)NAN;
}

static void last_dz_is_nan(bptt_device *d, const bptt_op *s, const bptt_slots *slots)
{
    bptt_ref_f64().op[BPTT_CELL_BACKWARD](d, s, slots);
    ((double *)s->arg[2].buf->data)[s->arg[2].at + s->arg[2].cols - 1] = (double)NAN;
}

START_TEST(a_number_that_is_none_is_no_error_but_a_claim_that_fails)
{
    bptt_backend judged = bptt_ref_f64();
    judged.op[_i ? BPTT_SOFTMAX_XENT : BPTT_CELL_BACKWARD] = _i ? first_loss_is_nan : last_dz_is_nan;
    step_found f = {0};
    double least = 2, largest = 2;
    ck_assert_int_eq(step_net(&judged, &SHORT, 50, &f, NULL), BPTT_OK);
    ck_assert_int_eq(taylor_net(&judged, &SHORT, &least, &largest, NULL), BPTT_OK);
    ck_assert(!(f.worst <= 1));
    ck_assert(!(least >= 1 && largest <= 3));
}
END_TEST

// ---- the part itself --------------------------------------------------------------------------------

static void count(void *user, const verify_line *l)
{
    ck_assert_str_eq(l->part, "unroll");
    CK_TRUE(l->holds, "%s: %s", l->claim, l->found);
    ++*(size_t *)user;
}

START_TEST(all_claims_of_the_part_hold)
{
    size_t lines = 0, failures = 0;
    const verify_options o = {.line = count, .user = &lines};
    bptt_error e = {0};
    CK_TRUE(verify_unroll(&o, &failures, &e) == BPTT_OK, "%s", e.words);
    ck_assert_uint_eq(failures, 0);
    ck_assert_uint_eq(lines, NET_CLAIMS + 2);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_loop_test(c, every_planted_bug_is_noticed_by_the_claims_that_it_breaks, 0, BUGS);
    tcase_add_loop_test(c, a_number_that_is_none_is_no_error_but_a_claim_that_fails, 0, 2);
    tcase_add_test(c, all_claims_of_the_part_hold);
}

int main(void) { return run_suite("verify unroll", add, 120); }
