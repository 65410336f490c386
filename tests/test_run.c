// The mathematics of a window: gradients of every shape against a plain net in double (plain_rnn.h) and against the
// seed's cell applied by hand, time order, carried state, truncation, keeps, weights, clipping, optimizers.
#include "bptt_cells.h"
#include "plain_near.h"
#include "suite.h"

// Loss, norm, all gradients and the states of the window in n are those of the plain net.
static void check_against_plain(net *n)
{
    plain_rnn p = plain_of(n->m, n->rc.batch, n->rc.steps), s = plain_of(n->m, n->rc.batch, n->rc.steps);
    const size_t states = p.L * (p.T + 1) * p.B * p.H;
    plain_gradient(&p, &n->w, n->h0);
    plain_gradient(&s, &n->w, n->h0);
    plain_sizes(&s, &n->w);
    bptt_report report;
    CK_OK(bptt_run_write_state(n->r, n->h0, BPTT_F64, NULL));
    CK_OK(bptt_run_gradient(n->r, &n->w, &report, NULL));
    check_gradient(n, &p, &s);
    double norm = 0, size = 0, *h = reals(states);
    for (size_t i = 0; i < p.tensors; i++)
        for (size_t k = 0; k < p.size[i]; k++) norm += p.dw[i][k] * p.dw[i][k], size += s.dw[i][k] * s.dw[i][k];
    norm = sqrt(norm), size = sqrt(size);
    near_sum(n, &report.grad_norm, &norm, &size, 1, "norm");
    CK_NEAR(near_scaled(&report.loss, &p.loss, 1, 2 * roundings(n)), "loss");
    CK_OK(bptt_run_read(n->r, BPTT_STATES, h, BPTT_F64, NULL));
    CK_NEAR(near_scaled(h, p.h, states, 2 * roundings(n)), "states");
    free(h);
    plain_free(&p);
    plain_free(&s);
}

// ---- gradients ----------------------------------------------------------------------------------

static const struct {
    size_t V, I, H, L, B, T;
    int biases;
} SHAPE[] = {
    {7, 0, 5, 1, 3, 6, 1},  {65, 0, 33, 1, 7, 5, 2},   {7, 0, 7, 3, 1, 9, 1},   {33, 7, 50, 2, 5, 4, 1},
    {2, 0, 1, 1, 1, 1, 1},  {5, 33, 7, 1, 33, 3, 2},   {50, 0, 65, 2, 3, 3, 1}, {3, 1, 1, 4, 2, 7, 2},
    {9, 0, 8, 1, 1, 70, 1}, {300, 0, 3, 1, 90, 10, 1}, // more logits than the decoder takes at a time
};
enum { SHAPES = 10 };

static void gradients(const char *backend, bptt_type type, unsigned threads)
{
    for (size_t i = 0; i < SHAPES; i++)
        for (int variant = 0; variant < 4; variant++) {
            bptt_model_config c = net_config(backend, type, SHAPE[i].V, SHAPE[i].H, SHAPE[i].L);
            c.input = SHAPE[i].I, c.biases = SHAPE[i].biases, c.compute.threads = threads;
            c.cell = variant & 1 ? BPTT_RELU : BPTT_TANH;
            net n;
            net_open(&n, &c,
                     &(bptt_run_config){.batch = SHAPE[i].B,
                                        .steps = SHAPE[i].T,
                                        .gradient = 1,
                                        .keep = variant >> 1,
                                        .input_gradient = SHAPE[i].I > 0});
            if (variant >> 1) n.w.weight = n.weight, n.w.keep = n.keep;
            check_against_plain(&n);
            n.w.weight = n.w.keep = NULL; // the same run once more: ones are back
            check_against_plain(&n);
            net_close(&n);
        }
}

START_TEST(gradients_are_the_plain_nets)
{
    gradients(NET_BACKEND[_i].backend, NET_BACKEND[_i].type, NET_BACKEND[_i].threads);
}
END_TEST

// Two layers of the seed's cell: T times forward, T times back through bptt_elman_vjp, joined by hand. Only the decoder
// is the plain net's.
enum { EI = 3, EH = 4, EB = 2, ET = 4, EL = 2, EC0 = EI + EH, EC1 = 2 * EH };

typedef struct unrolled {
    double concat[ET][EL][EB * EC1], next[ET][EL][EB * EH], W[EL][EH * EC1];
} unrolled;

static void join_weights(unrolled *u, const plain_rnn *p)
{
    for (size_t l = 0; l < EL; l++)
        for (size_t j = 0, in = l ? EH : EI; j < EH; j++) {
            memcpy(u->W[l] + j * (in + EH), p->w[3 * l] + j * in, in * sizeof(double));
            memcpy(u->W[l] + j * (in + EH) + in, p->w[3 * l + 1] + j * EH, EH * sizeof(double));
        }
}

static bptt_elman cell_of(const unrolled *u, const plain_rnn *p, size_t l)
{
    return (bptt_elman){
        .type = BPTT_F64, .cell = BPTT_TANH, .B = EB, .I = l ? EH : EI, .H = EH, .W = u->W[l], .b = p->w[3 * l + 2]};
}

static void unrolled_back(const unrolled *u, plain_rnn *p, const bptt_window *w, double dW[EL][EH * EC1],
                          double db[EL][EH], double dh[EL][EB * EH])
{
    for (size_t t = ET; t-- > 0;) {
        for (size_t b = 0; b < EB; b++) plain_output_back(p, w, t, b, dh[1] + b * EH);
        for (size_t l = EL; l-- > 0;) {
            const bptt_elman e = cell_of(u, p, l);
            const bptt_elman_cotangent s = {.next = dh[l]};
            double below[EB * EH], before[EB * EH];
            CK_OK(bptt_elman_vjp(&e, u->concat[t][l], u->next[t][l], &s, below, before, dW[l], db[l], NULL));
            memcpy(dh[l], before, sizeof before);
            for (size_t i = 0; l && i < EB * EH; i++) dh[0][i] += below[i];
        }
    }
}

START_TEST(a_window_is_the_seeds_cell_applied_step_by_step)
{
    bptt_model_config c = net_config("ref", BPTT_F64, 5, EH, EL);
    c.input = EI;
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = EB, .steps = ET, .gradient = 1});
    CK_OK(bptt_run_write_state(n.r, n.h0, BPTT_F64, NULL));
    CK_OK(bptt_run_gradient(n.r, &n.w, NULL, NULL));
    plain_rnn p = plain_of(n.m, EB, ET);
    plain_gradient(&p, &n.w, n.h0); // for the logits; its gradient is not looked at
    static unrolled u;
    double h[EL][EB * EH], dW[EL][EH * EC1] = {{0}}, db[EL][EH] = {{0}}, dh[EL][EB * EH] = {{0}}, got[EH * EC1];
    memcpy(h, n.h0, sizeof h);
    join_weights(&u, &p);
    for (size_t t = 0; t < ET; t++)
        for (size_t l = 0; l < EL; l++) {
            const bptt_elman e = cell_of(&u, &p, l);
            const double *x = l ? h[0] : n.dense + t * EB * EI;
            CK_OK(bptt_elman_forward(&e, x, h[l], u.concat[t][l], NULL, u.next[t][l], NULL));
            memcpy(h[l], u.next[t][l], sizeof h[l]);
        }
    CK_OK(bptt_run_read_state(n.r, got, BPTT_F64, NULL));
    CK_NEAR(near_scaled(got, h[0], EL * EB * EH, 1e-13), "last state");
    unrolled_back(&u, &p, &n.w, dW, db, dh);
    for (size_t l = 0; l < EL; l++)
        for (size_t part = 0, in = l ? EH : EI, C = in + EH; part < 3; part++) {
            double want[EH * EC1];
            const size_t width = part == 0 ? in : part == 1 ? EH : 1;
            for (size_t i = 0; i < EH * width; i++)
                want[i] = part == 2 ? db[l][i] : dW[l][i / width * C + (part ? in : 0) + i % width];
            CK_OK(bptt_model_read(n.m, BPTT_GRADIENT, 3 * l + part, got, BPTT_F64, NULL));
            CK_NEAR(near_scaled(got, want, EH * width, 1e-12), "gradient");
        }
    CK_OK(bptt_run_read(n.r, BPTT_GRAD_STATE, got, BPTT_F64, NULL));
    CK_NEAR(near_scaled(got, dh[0], EL * EB * EH, 1e-12), "gradient of the first state");
    plain_free(&p);
    net_close(&n);
}
END_TEST

// ---- windows in a row ---------------------------------------------------------------------------

START_TEST(two_windows_in_a_row_are_one_of_twice_the_length)
{
    for (size_t i = first_row(); i < end_row(NET_BACKENDS); i++) {
        enum { H = 33, B = 7, T = 5 };
        bptt_model_config c = net_config(NET_BACKEND[i].backend, NET_BACKEND[i].type, 9, H, 1);
        c.compute.threads = NET_BACKEND[i].threads;
        net n;
        net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = 2 * T, .gradient = 1});
        bptt_run *half = run_on(n.m, (bptt_run_config){.batch = B, .steps = T, .gradient = 1});
        bptt_report whole, part[2];
        double *all = reals((2 * T + 1) * B * H), *some = reals((T + 1) * B * H);
        CK_OK(bptt_run_gradient(n.r, &n.w, &whole, NULL));
        CK_OK(bptt_run_read(n.r, BPTT_STATES, all, BPTT_F64, NULL));
        for (size_t k = 0; k < 2; k++) {
            const bptt_window w = {
                .size = sizeof(bptt_window), .token = n.token + k * T * B, .target = n.target + k * T * B};
            CK_OK(bptt_run_gradient(half, &w, &part[k], NULL));
            CK_OK(bptt_run_read(half, BPTT_STATES, some, BPTT_F64, NULL));
            CK_TRUE(same_bits(some, all + k * T * B * H, (T + 1) * B * H), "%s: half %zu differs", c.compute.backend,
                    k);
        }
        const double mean = (part[0].loss + part[1].loss) / 2;
        CK_NEAR(near_scaled(&mean, &whole.loss, 1, roundings(&n)), "loss");
        free(all), free(some);
        bptt_run_close(half);
        net_close(&n);
    }
}
END_TEST

// Earlier windows influence a window only through its first state.
START_TEST(gradients_end_at_the_start_of_the_window)
{
    bptt_model_config c = net_config("ref", BPTT_F64, 9, 7, 2);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1});
    CK_OK(bptt_run_gradient(n.r, &n.w, NULL, NULL));
    CK_OK(bptt_run_read_state(n.r, n.h0, BPTT_F64, NULL));
    net_random_window(&n, 5);
    CK_OK(bptt_run_gradient(n.r, &n.w, NULL, NULL));
    double *carried = net_part(n.m, BPTT_GRADIENT);
    bptt_run *fresh = NULL;
    CK_OK(bptt_run_open(n.m, &n.rc, &fresh, NULL));
    CK_OK(bptt_run_write_state(fresh, n.h0, BPTT_F64, NULL));
    CK_OK(bptt_run_gradient(fresh, &n.w, NULL, NULL));
    double *written = net_part(n.m, BPTT_GRADIENT);
    ck_assert(same_bits(carried, written, bptt_model_parameters(n.m)));
    check_against_plain(&n);
    free(carried), free(written);
    bptt_run_close(fresh);
    net_close(&n);
}
END_TEST

START_TEST(a_run_starts_and_restarts_from_zeros)
{
    bptt_model_config c = net_config("cpu", BPTT_F32, 9, 7, 2);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1});
    const size_t state = 2 * 3 * 7;
    memset(n.h0, 0, state * sizeof *n.h0);
    double *h = net_state(n.r, state);
    CK_NEAR(near_all(h, n.h0, NULL, state), "a new run's state");
    free(h);
    bptt_report first, second, third;
    CK_OK(bptt_run_gradient(n.r, &n.w, &first, NULL));
    CK_OK(bptt_run_gradient(n.r, &n.w, &second, NULL));
    ck_assert(second.loss != first.loss); // the state was carried
    CK_OK(bptt_run_reset(n.r, NULL));
    CK_OK(bptt_run_gradient(n.r, &n.w, &third, NULL));
    ck_assert(third.loss == first.loss);
    net_close(&n);
}
END_TEST

// ---- keep and weight ----------------------------------------------------------------------------

// keep = 0 at (t, b): from there on row b is a row that begins with zeros; the others go on.
START_TEST(a_keep_of_zero_starts_a_fresh_stream)
{
    enum { H = 7, B = 3, T = 6, CUT = 2, ROW = 1 };
    for (int gradient = 0; gradient < 2; gradient++) {
        bptt_model_config c = net_config("ref", BPTT_F64, 9, H, 1);
        net n;
        net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = T, .keep = 1, .gradient = gradient});
        for (size_t i = 0; i < T * B; i++) n.keep[i] = i == CUT * B + ROW ? 0 : 1;
        n.w.keep = n.keep;
        CK_OK(bptt_run_write_state(n.r, n.h0, BPTT_F64, NULL));
        CK_OK(bptt_run_evaluate(n.r, &n.w, NULL, NULL));
        double *cut = net_state(n.r, B * H), zeros[B * H] = {0};
        for (size_t k = 0; k < 2; k++) { // the first CUT steps, then the rest
            bptt_run *part = run_on(n.m, (bptt_run_config){.batch = B, .steps = k ? T - CUT : CUT});
            CK_OK(bptt_run_write_state(part, n.h0, BPTT_F64, NULL));
            const bptt_window w = {
                .size = sizeof(bptt_window), .token = n.token + k * CUT * B, .target = n.target + k * CUT * B};
            CK_OK(bptt_run_evaluate(part, &w, NULL, NULL));
            CK_OK(bptt_run_read_state(part, n.h0, BPTT_F64, NULL));
            if (k == 0) memcpy(n.h0 + ROW * H, zeros, H * sizeof(double));
            bptt_run_close(part);
        }
        ck_assert(same_bits(cut, n.h0, B * H));
        free(cut);
        net_close(&n);
    }
}
END_TEST

START_TEST(a_position_of_weight_zero_might_as_well_not_be_there)
{
    enum { B = 3, T = 6, SHORT = 4 };
    bptt_model_config c = net_config("ref", BPTT_F64, 9, 7, 2);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = T, .gradient = 1});
    for (size_t i = 0; i < T * B; i++) n.weight[i] = i < SHORT * B ? 1 : 0;
    n.w.weight = n.weight;
    bptt_report masked, cut;
    CK_OK(bptt_run_gradient(n.r, &n.w, &masked, NULL));
    double *g = net_part(n.m, BPTT_GRADIENT);
    bptt_run *shorter = run_on(n.m, (bptt_run_config){.batch = B, .steps = SHORT, .gradient = 1});
    n.w.weight = NULL;
    CK_OK(bptt_run_gradient(shorter, &n.w, &cut, NULL));
    double *want = net_part(n.m, BPTT_GRADIENT);
    CK_NEAR(near_scaled(&masked.loss, &cut.loss, 1, 1e-14), "loss");
    CK_NEAR(near_all(&masked.weight, &cut.weight, NULL, 1), "weight");
    CK_NEAR(near_scaled(g, want, bptt_model_parameters(n.m), 1e-13), "gradient");
    free(g), free(want);
    bptt_run_close(shorter);
    net_close(&n);
}
END_TEST

// Weights are relative: twice as much of everything changes nothing but their sum; nothing of everything is no loss.
START_TEST(only_the_proportions_of_weights_matter)
{
    bptt_model_config c = net_config("ref", BPTT_F64, 9, 7, 1);
    c.optimizer = BPTT_SGD;
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1});
    n.w.weight = n.weight;
    bptt_report once, twice, none;
    CK_OK(bptt_run_gradient(n.r, &n.w, &once, NULL));
    double *g = net_part(n.m, BPTT_GRADIENT);
    for (size_t i = 0; i < 12; i++) n.weight[i] *= 2;
    CK_OK(bptt_run_reset(n.r, NULL));
    CK_OK(bptt_run_gradient(n.r, &n.w, &twice, NULL));
    double *g2 = net_part(n.m, BPTT_GRADIENT);
    ck_assert(twice.loss == once.loss && twice.weight == 2 * once.weight);
    ck_assert(same_bits(g, g2, bptt_model_parameters(n.m)));
    memset(n.weight, 0, 12 * sizeof *n.weight);
    snapshot before = snapshot_of(n.m);
    CK_OK(bptt_run_train(n.r, &n.w, 1, &none, NULL));
    ck_assert(none.loss == 0 && none.weight == 0 && none.grad_norm == 0);
    before.updates++;
    ck_assert(snapshot_holds(&before, n.m, false));
    free(g), free(g2);
    net_close(&n);
}
END_TEST

// ---- updates ------------------------------------------------------------------------------------

// Runs one SGD update; returns the change of the weights and the gradient.
static void one_step(bptt_clip mode, double clip, double rate, double **moved, double **g, size_t *count, double *norm)
{
    bptt_model_config c = net_config("ref", BPTT_F64, 9, 7, 2);
    c.optimizer = BPTT_SGD, c.clip_mode = mode, c.clip = clip;
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1});
    double *before = net_part(n.m, BPTT_WEIGHTS);
    bptt_report report;
    CK_OK(bptt_run_train(n.r, &n.w, rate, &report, NULL));
    *moved = net_part(n.m, BPTT_WEIGHTS), *g = net_part(n.m, BPTT_GRADIENT);
    *count = bptt_model_parameters(n.m), *norm = report.grad_norm;
    for (size_t i = 0; i < *count; i++) (*moved)[i] -= before[i];
    free(before);
    net_close(&n);
}

START_TEST(clipping_by_norm_bounds_the_step_and_keeps_its_direction)
{
    const double rate = 16, clip = 1e-3;
    double *moved, *g, norm, length = 0, seen = 0;
    size_t n;
    one_step(BPTT_CLIP_NORM, clip, rate, &moved, &g, &n, &norm);
    double *want = reals(n), *bound = reals(n);
    for (size_t i = 0; i < n; i++) {
        want[i] = -rate * g[i] * clip / (norm + 1e-6);
        bound[i] = 16 * U64; // weights below 1, rounded when read and written
        length += moved[i] * moved[i];
        seen += g[i] * g[i];
    }
    length = sqrt(length), seen = sqrt(seen);
    ck_assert(norm > 10 * clip);
    CK_NEAR(near_scaled(&norm, &seen, 1, 1e-13), "the reported norm is that before clipping");
    CK_NEAR(near_all(moved, want, bound, n), "the step");
    const double most = rate * clip;
    CK_NEAR(near_scaled(&length, &most, 1, 1e-6 / norm + 1e-12), "the length of the step");
    free(moved), free(g), free(want), free(bound);
}
END_TEST

START_TEST(clipping_by_value_clamps_every_element)
{
    const double rate = 16, clip = 1e-2;
    double *moved, *g, norm;
    size_t n, clamped = 0;
    one_step(BPTT_CLIP_VALUE, clip, rate, &moved, &g, &n, &norm);
    double *want = reals(n), *bound = reals(n);
    for (size_t i = 0; i < n; i++) {
        want[i] = -rate * fmax(-clip, fmin(clip, g[i]));
        bound[i] = 16 * U64;
        clamped += fabs(g[i]) > clip;
    }
    ck_assert(clamped > 9 && clamped + 9 < n); // some and not all
    CK_NEAR(near_all(moved, want, bound, n), "the step");
    free(moved), free(g), free(want), free(bound);
}
END_TEST

START_TEST(a_clip_above_the_norm_changes_nothing)
{
    double *free_step, *moved, *g, norm, again;
    size_t n;
    one_step(BPTT_CLIP_NORM, 0, 1, &free_step, &g, &n, &norm);
    free(g);
    for (int mode = BPTT_CLIP_NORM; mode <= BPTT_CLIP_VALUE; mode++) {
        one_step((bptt_clip)mode, 1.001 * norm, 1, &moved, &g, &n, &again);
        ck_assert(norm == again && same_bits(moved, free_step, n));
        free(moved), free(g);
    }
    free(free_step);
}
END_TEST

// The header's formulas, element by element, over several updates: corrections depend on their number.
START_TEST(several_steps_of_each_optimizer_follow_the_header)
{
    for (int o = BPTT_SGD; o <= BPTT_ADAM; o++) {
        bptt_model_config c = net_config("ref", BPTT_F64, 9, 7, 1);
        c.optimizer = (bptt_optimizer)o, c.momentum = 0.75, c.clip = 0, c.epsilon = 1e-3;
        net n;
        net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1});
        const size_t count = bptt_model_parameters(n.m);
        double *w = net_part(n.m, BPTT_WEIGHTS), *m = reals(count), *v = reals(count);
        for (int k = 1; k <= 4; k++) {
            const double rate = 0.125 / k;
            net_random_window(&n, (uint64_t)k);
            CK_OK(bptt_run_train(n.r, &n.w, rate, NULL, NULL));
            double *g = net_part(n.m, BPTT_GRADIENT), *now = net_part(n.m, BPTT_WEIGHTS);
            for (size_t i = 0; i < count; i++) {
                const double beta2 = o == BPTT_ADAM ? c.beta2 : c.decay;
                m[i] = o == BPTT_SGD ? c.momentum * m[i] + g[i] : c.beta1 * m[i] + (1 - c.beta1) * g[i];
                v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
                if (o == BPTT_SGD) w[i] -= rate * m[i];
                if (o == BPTT_RMSPROP) w[i] -= rate * g[i] / (sqrt(v[i]) + c.epsilon);
                if (o == BPTT_ADAM)
                    w[i] -= rate / (1 - pow(c.beta1, k)) * m[i] / (sqrt(v[i] / (1 - pow(c.beta2, k))) + c.epsilon);
            }
            CK_NEAR(near_scaled(now, w, count, 1e-13), "weights");
            double *m1 = net_part(n.m, BPTT_MOMENT1), *m2 = net_part(n.m, BPTT_MOMENT2);
            if (m1) CK_NEAR(near_scaled(m1, m, count, 1e-13), "first moments");
            if (m2) CK_NEAR(near_scaled(m2, v, count, 1e-13), "second moments");
            ck_assert(!m1 == (o == BPTT_RMSPROP) && !m2 == (o == BPTT_SGD));
            ck_assert_uint_eq(bptt_model_updates(n.m), (uint64_t)k);
            free(g), free(now), free(m1), free(m2);
        }
        free(w), free(m), free(v);
        net_close(&n);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_loop_test(c, gradients_are_the_plain_nets, (int)first_row(), (int)end_row(NET_BACKENDS));
    tcase_add_test(c, a_window_is_the_seeds_cell_applied_step_by_step);
    tcase_add_test(c, two_windows_in_a_row_are_one_of_twice_the_length);
    tcase_add_test(c, gradients_end_at_the_start_of_the_window);
    tcase_add_test(c, a_run_starts_and_restarts_from_zeros);
    tcase_add_test(c, a_keep_of_zero_starts_a_fresh_stream);
    tcase_add_test(c, a_position_of_weight_zero_might_as_well_not_be_there);
    tcase_add_test(c, only_the_proportions_of_weights_matter);
    tcase_add_test(c, clipping_by_norm_bounds_the_step_and_keeps_its_direction);
    tcase_add_test(c, clipping_by_value_clamps_every_element);
    tcase_add_test(c, a_clip_above_the_norm_changes_nothing);
    tcase_add_test(c, several_steps_of_each_optimizer_follow_the_header);
}

int main(void) { return run_suite("run", add, 60); }
