// The ops of gated cells, on every backend, against the formulas of bptt.h computed naively in double: every gated
// cell, biases present and absent, awkward shapes, odd and unaligned views, canaries, the reach of a NaN. A number of
// these formulas carries the bound of its rounding errors.
#include "rig.h"
#include "suite.h"

// A value, and a bound of the error of a computation in floats, in units of their roundoff.
typedef struct num {
    double v, e;
} num;

static num exact(double v) { return (num){v, 0}; }
static num plus(num a, num b) { return (num){a.v + b.v, a.e + b.e + fabs(a.v + b.v)}; }
static num minus(num a, num b) { return (num){a.v - b.v, a.e + b.e + fabs(a.v - b.v)}; }
static num times(num a, num b) { return (num){a.v * b.v, fabs(a.v) * b.e + fabs(b.v) * a.e + fabs(a.v * b.v)}; }
// Slopes are at most 1 and 1/4; the function itself costs at most 4 ulp.
static num tanh_num(num a) { return (num){tanh(a.v), a.e + 8 * fabs(tanh(a.v))}; }
static num sigmoid_num(num a) { return (num){1 / (1 + exp(-a.v)), a.e / 4 + 8 / (1 + exp(-a.v))}; }
static num rest(num a) { return minus(exact(1), a); }
static num tanh_slope_num(num y) { return rest(times(y, y)); }
static num sigmoid_slope_num(num y) { return times(y, rest(y)); }

// Most blocks of z, most states.
enum { MOST_Z = 8, MOST_S = 2 };

// ---- the cells: z [blocks], states from s to t, their gradients ds and dt; u = mix(z, h) ---------------------------

static void mixture(num u, num n, num h, num *t) { t[0] = plus(times(rest(u), n), times(u, h)); }

static void gru_to(num *z, const num *s, num *t)
{
    z[1] = sigmoid_num(z[1]), z[2] = sigmoid_num(z[2]);
    z[0] = tanh_num(plus(z[0], times(z[1], z[3])));
    mixture(z[2], z[0], s[0], t);
}
static void gru_back(num *z, const num *s, const num *t, const num *dt, num *ds)
{
    const num n = z[0], r = z[1], u = z[2], n_h = z[3];
    (void)t;
    z[0] = times(dt[0], times(rest(u), tanh_slope_num(n)));
    z[1] = times(times(z[0], n_h), sigmoid_slope_num(r));
    z[2] = times(times(dt[0], minus(s[0], n)), sigmoid_slope_num(u));
    z[3] = times(z[0], r);
    ds[0] = plus(ds[0], times(dt[0], u));
}

static void lstm_to(num *z, const num *s, num *t)
{
    z[0] = sigmoid_num(z[0]), z[1] = sigmoid_num(z[1]), z[2] = tanh_num(z[2]), z[3] = sigmoid_num(z[3]);
    t[1] = plus(times(z[1], s[1]), times(z[0], z[2]));
    t[0] = times(z[3], tanh_num(t[1]));
}
static void lstm_back(num *z, const num *s, const num *t, const num *dt, num *ds)
{
    const num i = z[0], f = z[1], g = z[2], o = z[3], y = tanh_num(t[1]);
    const num dc = plus(dt[1], times(times(dt[0], o), tanh_slope_num(y)));
    z[0] = times(times(dc, g), sigmoid_slope_num(i));
    z[1] = times(times(dc, s[1]), sigmoid_slope_num(f));
    z[2] = times(times(dc, i), tanh_slope_num(g));
    z[3] = times(times(dt[0], y), sigmoid_slope_num(o));
    ds[1] = plus(ds[1], times(dc, f));
}

static void mlstm_to(num *z, const num *s, num *t) { lstm_to(z + 1, s, t); }
static void mlstm_back(num *z, const num *s, const num *t, const num *dt, num *ds) { lstm_back(z + 1, s, t, dt, ds); }
static num mlstm_u(num *z, num h)
{
    (void)h;
    return times(z[0], z[5]);
}
static num mlstm_u_back(num *z, num h, num du, num dh)
{
    const num m_x = z[0];
    (void)h;
    z[0] = times(du, z[5]), z[5] = times(du, m_x);
    return dh;
}

static void mingru_to(num *z, const num *s, num *t)
{
    z[0] = sigmoid_num(z[0]);
    mixture(z[0], s[0], z[1], t);
}
static void mingru_back(num *z, const num *s, const num *t, const num *dt, num *ds)
{
    const num u = z[0], n = z[1];
    (void)t;
    z[0] = times(times(dt[0], minus(n, s[0])), sigmoid_slope_num(u));
    z[1] = times(dt[0], u);
    ds[0] = plus(ds[0], times(dt[0], rest(u)));
}

static void before_to(num *z, const num *s, num *t)
{
    z[1] = sigmoid_num(z[1]), z[2] = tanh_num(z[2]);
    mixture(z[1], z[2], s[0], t);
}
static void before_back(num *z, const num *s, const num *t, const num *dt, num *ds)
{
    const num u = z[1], n = z[2];
    (void)t;
    z[1] = times(times(dt[0], minus(s[0], n)), sigmoid_slope_num(u));
    z[2] = times(times(dt[0], rest(u)), tanh_slope_num(n));
    ds[0] = plus(ds[0], times(dt[0], u));
}
static num before_u(num *z, num h)
{
    z[0] = sigmoid_num(z[0]);
    return times(z[0], h);
}
static num before_u_back(num *z, num h, num du, num dh)
{
    const num r = z[0];
    z[0] = times(times(du, h), sigmoid_slope_num(r));
    return plus(dh, times(du, r));
}

typedef struct formulas {
    const char *word;
    void (*to)(num *z, const num *s, num *t);
    void (*back)(num *z, const num *s, const num *t, const num *dt, num *ds);
    num (*mix)(num *z, num h); // NULL: no second product
    num (*mix_back)(num *z, num h, num du, num dh);
} formulas;
static const formulas FORMULAS[] = {{"gru", gru_to, gru_back, NULL, NULL},
                                    {"lstm", lstm_to, lstm_back, NULL, NULL},
                                    {"mlstm", mlstm_to, mlstm_back, mlstm_u, mlstm_u_back},
                                    {"mingru", mingru_to, mingru_back, NULL, NULL},
                                    {"gru-before", before_to, before_back, before_u, before_u_back}};
enum { CELLS = sizeof FORMULAS / sizeof *FORMULAS };

static bptt_cell number_of(const char *word)
{
    for (size_t c = 0; c < bptt_cells; c++)
        if (strcmp(bptt_cell_table[c].word, word) == 0) return (bptt_cell)c;
    ck_abort_msg("no cell is called %s", word);
    return 0;
}

START_TEST(every_gated_cell_of_the_table_is_tested_here)
{
    size_t gated = 0;
    for (size_t c = 0; c < bptt_cells; c++) gated += bptt_cell_is_gated((bptt_cell)c);
    ck_assert_uint_eq(gated, CELLS);
}
END_TEST

// ---- an op, its operands and what they should be -------------------------------------------------------------------

enum { B1 = 1, B2 = 2 }; // flags: biases present

// Operands x[0] .. x[count - 1] of an op: of H columns each a block. want and bound of each, as they are at first.
typedef struct operands {
    slab x[BPTT_OPERANDS];
    double *want[BPTT_OPERANDS], *bound[BPTT_OPERANDS];
    size_t count, H;
} operands;

static void operand(rig *r, const variant *v, operands *o, size_t rows, size_t blocks, double scale)
{
    slab *x = &o->x[o->count];
    *x = slab_make(r, rows, blocks * o->H, r->b.real, v->where, false, scale);
    if (v->nan == (int)o->count) slab_plant_nan(r, x);
    o->count++;
}

static void expect_as_is(operands *o)
{
    for (size_t k = 0; k < o->count; k++) {
        const size_t n = o->x[k].m.rows * o->x[k].m.cols;
        o->want[k] = reals(n), o->bound[k] = reals(n);
        memcpy(o->want[k], o->x[k].x, n * sizeof(double));
    }
}

// Element of block b of unit j in row i.
static size_t spot(const operands *o, size_t k, size_t i, size_t b, size_t j)
{
    return i * o->x[k].m.cols + b * o->H + j;
}
static num get(const operands *o, size_t k, size_t i, size_t b, size_t j)
{
    return exact(o->x[k].x[spot(o, k, i, b, j)]);
}
static void take(const operands *o, size_t k, size_t i, size_t j, num *to)
{
    for (size_t b = 0; b < o->x[k].m.cols / o->H; b++) to[b] = get(o, k, i, b, j);
}
// Twice the bound of the errors, and what a flushed subnormal number costs.
static void expect(rig *r, operands *o, size_t k, size_t i, size_t j, const num *is)
{
    for (size_t b = 0; b < o->x[k].m.cols / o->H; b++) {
        o->want[k][spot(o, k, i, b, j)] = is[b].v;
        o->bound[k][spot(o, k, i, b, j)] = 2 * r->u * is[b].e + (r->u == U32 ? 0x1p-120 : 0);
    }
}

// no1, no2: operand 1 or 2 is absent.
static void run_and_check(rig *r, operands *o, bptt_op s, bool no1, bool no2)
{
    for (size_t k = 0; k < o->count; k++) s.arg[k] = o->x[k].m;
    if (no1) s.arg[1] = (bptt_mat){.type = r->b.real};
    if (no2) s.arg[2] = (bptt_mat){.type = r->b.real};
    run_step(r, s);
    for (size_t k = 0; k < o->count; k++) {
        char what[80];
        snprintf(what, sizeof what, "%s of %s, operand %zu", bptt_opcode_name[s.opcode], bptt_cell_row_of(s.cell)->word,
                 k);
        slab_check(r, &o->x[k], o->want[k], o->bound[k], what);
        slab_free(r, &o->x[k]);
        free(o->want[k]);
        free(o->bound[k]);
    }
}

static const double SCALE[] = {1, 30, 1e-3}; // of pre-activations: usual, saturating, tiny

// z, b, b2, s, s'; the number of blocks of each bias goes from 1 to all.
static void forward_case(rig *r, const variant *v)
{
    const formulas *f = &FORMULAS[v->cell];
    const bptt_cell_row *row = bptt_cell_row_of(number_of(f->word));
    const size_t Z = row->blocks, first = 1 + v->K % Z, last = 1 + (v->K + v->N) % Z;
    operands o = {.H = v->M};
    operand(r, v, &o, v->N, Z, SCALE[v->K % 3]);
    operand(r, v, &o, 1, first, SCALE[v->K % 3]);
    operand(r, v, &o, 1, last, SCALE[v->K % 3]);
    operand(r, v, &o, v->N, row->states, 1);
    operand(r, v, &o, v->N, row->states, 1);
    expect_as_is(&o);
    for (size_t i = 0; i < v->N; i++)
        for (size_t j = 0; j < v->M; j++) {
            num z[MOST_Z], s[MOST_S], t[MOST_S];
            take(&o, 0, i, j, z), take(&o, 3, i, j, s);
            for (size_t b = 0; b < first && v->t & B1; b++) z[b] = plus(z[b], get(&o, 1, 0, b, j));
            for (size_t b = 0; b < last && v->t & B2; b++) z[Z - last + b] = plus(z[Z - last + b], get(&o, 2, 0, b, j));
            f->to(z, s, t);
            expect(r, &o, 0, i, j, z), expect(r, &o, 4, i, j, t);
        }
    run_and_check(r, &o, (bptt_op){.opcode = BPTT_GATES_FORWARD, .cell = number_of(f->word)}, !(v->t & B1),
                  !(v->t & B2));
}

// z, s, s', d', d
static void backward_case(rig *r, const variant *v)
{
    const formulas *f = &FORMULAS[v->cell];
    const bptt_cell_row *row = bptt_cell_row_of(number_of(f->word));
    operands o = {.H = v->M};
    operand(r, v, &o, v->N, row->blocks, 1);
    for (int k = 1; k < 5; k++) operand(r, v, &o, v->N, row->states, k == 3 ? SCALE[v->K % 3] : 1);
    expect_as_is(&o);
    for (size_t i = 0; i < v->N; i++)
        for (size_t j = 0; j < v->M; j++) {
            num z[MOST_Z], s[MOST_S], t[MOST_S], dt[MOST_S], ds[MOST_S];
            take(&o, 0, i, j, z), take(&o, 1, i, j, s), take(&o, 2, i, j, t), take(&o, 3, i, j, dt),
                take(&o, 4, i, j, ds);
            f->back(z, s, t, dt, ds);
            expect(r, &o, 0, i, j, z), expect(r, &o, 4, i, j, ds);
        }
    run_and_check(r, &o, (bptt_op){.opcode = BPTT_GATES_BACKWARD, .cell = number_of(f->word)}, false, false);
}

// z, h, u, or z, h, du, dh
static void mix_case(rig *r, const variant *v)
{
    const formulas *f = &FORMULAS[v->cell];
    const bptt_opcode opcode = v->t ? BPTT_MIX_BACKWARD : BPTT_MIX;
    if (!f->mix) return;
    operands o = {.H = v->M};
    operand(r, v, &o, v->N, bptt_cell_row_of(number_of(f->word))->blocks, opcode == BPTT_MIX ? SCALE[v->K % 3] : 1);
    for (int k = 1; k < (opcode == BPTT_MIX ? 3 : 4); k++) operand(r, v, &o, v->N, 1, 1);
    expect_as_is(&o);
    for (size_t i = 0; i < v->N; i++)
        for (size_t j = 0; j < v->M; j++) {
            num z[MOST_Z];
            take(&o, 0, i, j, z);
            const num h = get(&o, 1, i, 0, j), u = get(&o, 2, i, 0, j);
            const num is = opcode == BPTT_MIX ? f->mix(z, h) : f->mix_back(z, h, u, get(&o, 3, i, 0, j));
            expect(r, &o, 0, i, j, z), expect(r, &o, o.count - 1, i, j, &is);
        }
    run_and_check(r, &o, (bptt_op){.opcode = opcode, .cell = number_of(f->word)}, false, false);
}

// one() for all cells, N and M awkward, all flags without a NaN, and a NaN in each operand; K counts.
static void over_cells(rig *r, unsigned flags, int read, void (*one)(rig *, const variant *))
{
    static const size_t N[] = {1, 7, 33}, H[] = {1, 7, 33, 65, 129};
    size_t count = 0;
    for (int cell = 0; cell < CELLS; cell++)
        for (size_t n = 0; n < 3; n++)
            for (size_t h = 0; h < 5; h++)
                for (int c = 0; c < (int)flags + read; c++, count++) {
                    const bool clean = c < (int)flags;
                    const variant v = {.N = N[n],
                                       .M = H[h],
                                       .K = count,
                                       .where = (place)(count % PLACES),
                                       .t = clean ? (unsigned)c : flags - 1,
                                       .nan = clean ? -1 : c - (int)flags,
                                       .cell = cell};
                    one(r, &v);
                }
}

static void forward_cases(rig *r) { over_cells(r, 4, 4, forward_case); }
START_TEST(gates_forward_computes_the_states_and_keeps_the_gates) { on_every_rig(forward_cases, false); }
END_TEST

static void backward_cases(rig *r) { over_cells(r, 1, 5, backward_case); }
START_TEST(gates_backward_gives_dz_and_adds_to_the_gradient_of_the_states_before)
{
    on_every_rig(backward_cases, false);
}
END_TEST

static void mix_cases(rig *r) { over_cells(r, 2, 3, mix_case); }
START_TEST(mix_gives_the_operand_of_the_second_product_and_its_gradient) { on_every_rig(mix_cases, false); }
END_TEST

// ---- bits ----------------------------------------------------------------------------------------------------------

static slab numbers(rig *r, size_t rows, size_t cols, bool whole)
{
    slab s = slab_make(r, rows, cols, r->b.real, ODD, false, whole ? 2 : 4);
    for (size_t i = 0; whole && i < rows * cols; i++) s.x[i] = rint(s.x[i]);
    slab_write(r, &s);
    return s;
}

// All ops of a cell one after the other on the same operands; every bit counts.
static void digest_cell(rig *r, bptt_cell cell, bool mixed, size_t N, size_t H)
{
    const bptt_cell_row *row = bptt_cell_row_of(cell);
    const bool whole = cell >= BPTT_WHOLE;
    slab x[6];
    for (size_t k = 0; k < 6; k++) {
        const size_t blocks = k == 0 ? row->blocks : k == 5 ? 1 : row->states;
        x[k] = numbers(r, k == 5 ? 1 : N, blocks * H, whole);
    }
    const bptt_mat z = x[0].m, s = x[1].m, t = x[2].m, dt = x[3].m, ds = x[4].m, b = x[5].m;
    const bptt_mat h = bptt_cols(s, 0, H), u = bptt_cols(ds, 0, H), dh = bptt_cols(dt, 0, H);
    if (mixed) run_step(r, (bptt_op){.opcode = BPTT_MIX, .cell = cell, .arg = {z, h, u}});
    run_step(r, (bptt_op){.opcode = BPTT_GATES_FORWARD, .cell = cell, .arg = {z, b, b, s, t}});
    run_step(r, (bptt_op){.opcode = BPTT_GATES_BACKWARD, .cell = cell, .arg = {z, s, t, dt, ds}});
    if (mixed) run_step(r, (bptt_op){.opcode = BPTT_MIX_BACKWARD, .cell = cell, .arg = {z, h, u, dh}});
    for (size_t k = 0; k < 6; k++) {
        double *all = reals(x[k].room);
        flat_read(r, x[k].m, all, x[k].room);
        digest(r, all, x[k].room);
        free(all);
        slab_free(r, &x[k]);
    }
}

START_TEST(cpu_gives_the_bits_of_ref_for_every_gated_cell)
{
    static const size_t H[] = {1, 15, 16, 17, 65, 129};
    for (int cell = 0; cell < CELLS; cell++)
        for (int whole = 0; whole < 2; whole++) {
            const bptt_cell number = number_of(FORMULAS[cell].word) + (whole ? BPTT_WHOLE : 0);
            uint64_t wanted = 0;
            for (size_t i = 0; i < RIGS; i++) {
                const bool reference = RIG[i].backend == bptt_ref_f32;
                if (!rig_wanted(&RIG[i]) || (RIG[i].backend != bptt_cpu && !reference)) continue;
                rig r;
                rig_open(&r, &RIG[i]);
                for (size_t h = 0; h < 6; h++) digest_cell(&r, number, FORMULAS[cell].mix != NULL, 200, H[h]);
                if (reference) wanted = r.digest;
                CK_TRUE(r.digest == wanted, "%s: other bits than ref for %s%s", r.name, FORMULAS[cell].word,
                        whole ? " of whole numbers" : "");
                rig_close(&r);
            }
        }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, every_gated_cell_of_the_table_is_tested_here);
    tcase_add_test(c, gates_forward_computes_the_states_and_keeps_the_gates);
    tcase_add_test(c, gates_backward_gives_dz_and_adds_to_the_gradient_of_the_states_before);
    tcase_add_test(c, mix_gives_the_operand_of_the_second_product_and_its_gradient);
    tcase_add_test(c, cpu_gives_the_bits_of_ref_for_every_gated_cell);
}

int main(void) { return run_suite("gates", add, 60); }
