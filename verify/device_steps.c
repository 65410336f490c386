// Random ops of one plan on one buffer, compared with the same ops over 64-bit integers: single ops with strides,
// transposes, alpha and beta that no net has. Ops read the results of earlier ops.
#include "device_exact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 40, ROOM = 6000, IDS = 64, TRIES = 50, SIDE = 40, GATED_ROWS = 9, GATED_SIDE = 35 };

// The buffer as integers, and the plan so far.
typedef struct mirror {
    int64_t x[ROOM], next[ROOM]; // before and after a step
    int64_t size;                // largest sum of |terms| of the step
    int32_t id[IDS];
    uint64_t random;
    bool gated;          // a plan of gated cells' ops alone, whose numbers stay small
    bptt_mat whole, ids; // [1][ROOM], [IDS][1] on the device
    bptt_op op[STEPS];
} mirror;

static int64_t *element_of(int64_t *x, const bptt_mat *m, size_t i, size_t j)
{
    return x + (m->t ? m->at + j * m->ld + i : m->at + i * m->ld + j);
}

static void set_element(mirror *m, const bptt_mat *y, size_t i, size_t j, int64_t sum, int64_t size)
{
    if (size > m->size) m->size = size;
    *element_of(m->next, y, i, j) = size < WHOLE_SUM ? sum : 0;
}

// ---- the entries over integers --------------------------------------------------------------------------------------

// With beta, the old value is one more term.
static void add_to_element(mirror *m, const bptt_op *s, const bptt_mat *y, size_t i, size_t j, int64_t sum,
                           int64_t size)
{
    const int64_t was = s->beta ? *element_of(m->next, y, i, j) : 0;
    set_element(m, y, i, j, was + sum, llabs(was) + size);
}

static void gemm(mirror *m, const bptt_op *s)
{
    const bptt_mat *const a = &s->arg[0], *const b = &s->arg[1], *const c = &s->arg[2];
    for (size_t i = 0; i < c->rows; i++)
        for (size_t j = 0; j < c->cols; j++) {
            int64_t sum = 0, size = 0;
            for (size_t k = 0; k < a->cols; k++) {
                const int64_t term = *element_of(m->x, a, i, k) * *element_of(m->x, b, k, j);
                sum += term, size += llabs(term);
            }
            add_to_element(m, s, c, i, j, s->alpha * sum, size);
        }
}

static void scatter(mirror *m, const bptt_op *s)
{
    const bptt_mat *const dz = &s->arg[1], *const dw = &s->arg[2];
    for (size_t v = 0; v < dw->rows; v++)
        for (size_t j = 0; j < dw->cols; j++) {
            int64_t sum = 0, size = 0;
            for (size_t i = 0; i < dz->rows; i++)
                if ((size_t)m->id[s->arg[0].at + i] == v)
                    sum += *element_of(m->x, dz, i, j), size += llabs(*element_of(m->x, dz, i, j));
            add_to_element(m, s, dw, v, j, sum, size);
        }
}

static void colsum(mirror *m, const bptt_op *s)
{
    const bptt_mat *const dz = &s->arg[0], *const db = &s->arg[1];
    for (size_t j = 0; j < db->cols; j++) {
        int64_t sum = 0, size = 0;
        for (size_t i = 0; i < dz->rows; i++)
            sum += *element_of(m->x, dz, i, j), size += llabs(*element_of(m->x, dz, i, j));
        add_to_element(m, s, db, 0, j, sum, size);
    }
}

static void cell_forward(mirror *m, const bptt_op *s, size_t i, size_t j)
{
    int64_t z = *element_of(m->x, &s->arg[0], i, j), size = llabs(z);
    for (size_t k = 1; k <= 2; k++)
        if (s->arg[k].buf) z += *element_of(m->x, &s->arg[k], 0, j), size += llabs(*element_of(m->x, &s->arg[k], 0, j));
    set_element(m, &s->arg[3], i, j, whole_value(z), size);
}

static void apply_elementwise(mirror *m, const bptt_op *s, const bptt_mat *y, size_t i, size_t j)
{
    int64_t v = 0, y0 = 0; // the cell squares y
    switch (s->opcode) {
    case BPTT_COPY: v = *element_of(m->x, &s->arg[0], i, j); break;
    case BPTT_FILL: v = (int64_t)s->value; break;
    case BPTT_GATHER: v = *element_of(m->x, &s->arg[1], (size_t)m->id[s->arg[0].at + i], j); break;
    case BPTT_SCALE_ROWS: v = *element_of(m->x, &s->arg[0], i, 0) * *element_of(m->x, &s->arg[1], i, j); break;
    case BPTT_CELL_BACKWARD:
        y0 = *element_of(m->x, &s->arg[0], i, j);
        v = *element_of(m->x, &s->arg[1], i, j) * whole_slope(whole_value(y0));
        break;
    case BPTT_ADD_ROW: v = *element_of(m->x, &s->arg[0], 0, j); break;
    default: break;
    }
    add_to_element(m, s, y, i, j, v, llabs(v) > y0 * y0 ? llabs(v) : y0 * y0);
}

// Blocks of row i: those of a unit j, H columns apart.
static void read_unit(mirror *m, const bptt_mat *x, size_t i, size_t j, size_t count, size_t H, int64_t *unit)
{
    for (size_t k = 0; k < count; k++) unit[k] = *element_of(m->x, x, i, k * H + j);
}

static void write_unit(mirror *m, const bptt_mat *x, size_t i, size_t j, size_t count, size_t H, const int64_t *unit)
{
    for (size_t k = 0; k < count; k++) set_element(m, x, i, k * H + j, unit[k], llabs(unit[k]));
}

// Adds to the last operand.
static void add_unit(mirror *m, const bptt_mat *x, size_t i, size_t j, size_t count, size_t H, const int64_t *unit)
{
    for (size_t k = 0; k < count; k++) {
        const int64_t was = *element_of(m->x, x, i, k * H + j);
        set_element(m, x, i, k * H + j, was + unit[k], llabs(was) + llabs(unit[k]));
    }
}

static void note_size(mirror *m, double size)
{
    if (size > (double)m->size) m->size = size < WHOLE_SUM ? (int64_t)size : WHOLE_SUM;
}

// z [blocks] of a unit, with the biases b of its first and b2 of its last blocks.
static void read_biased(mirror *m, const bptt_op *s, const whole_cell *c, size_t i, size_t j, size_t H, int64_t *z)
{
    read_unit(m, &s->arg[0], i, j, c->blocks, H, z);
    for (size_t k = 0; k < c->blocks; k++) {
        int64_t size = llabs(z[k]);
        for (size_t b = 1; b <= 2; b++) {
            const size_t count = s->arg[b].buf ? s->arg[b].cols / H : 0, first = b == 1 ? 0 : c->blocks - count;
            if (k < first || k >= first + count) continue;
            const int64_t bias = *element_of(m->x, &s->arg[b], 0, (k - first) * H + j);
            z[k] += bias, size += llabs(bias);
        }
        note_size(m, (double)size);
    }
}

// Row i and unit j of an op of gated cells.
static void apply_gated(mirror *m, const bptt_op *s, const whole_cell *c, size_t H, size_t i, size_t j)
{
    int64_t z[WHOLE_BLOCKS], one[WHOLE_STATES], two[WHOLE_STATES], three[WHOLE_STATES], d[WHOLE_STATES] = {0};
    const size_t Z = c->blocks, S = c->states;
    double size = 0;
    read_unit(m, &s->arg[0], i, j, Z, H, z);
    switch (s->opcode) {
    case BPTT_GATES_FORWARD:
        read_biased(m, s, c, i, j, H, z), read_unit(m, &s->arg[3], i, j, S, H, one);
        c->forward(z, one, d, &size);
        write_unit(m, &s->arg[4], i, j, S, H, d);
        break;
    case BPTT_GATES_BACKWARD:
        read_unit(m, &s->arg[1], i, j, S, H, one), read_unit(m, &s->arg[2], i, j, S, H, two);
        read_unit(m, &s->arg[3], i, j, S, H, three);
        c->backward(z, one, two, three, d, &size);
        add_unit(m, &s->arg[4], i, j, S, H, d);
        break;
    case BPTT_MIX:
        d[0] = c->mix(z, *element_of(m->x, &s->arg[1], i, j), &size);
        write_unit(m, &s->arg[2], i, j, 1, H, d);
        break;
    default:
        d[0] = c->mix_backward(z, *element_of(m->x, &s->arg[1], i, j), *element_of(m->x, &s->arg[2], i, j), &size);
        add_unit(m, &s->arg[3], i, j, 1, H, d);
        break;
    }
    write_unit(m, &s->arg[0], i, j, Z, H, z);
    note_size(m, size);
}

static bool is_gated(bptt_opcode entry) { return entry >= BPTT_GATES_FORWARD && entry <= BPTT_MIX_BACKWARD; }

static void apply_op(mirror *m, const bptt_op *s)
{
    memcpy(m->next, m->x, sizeof m->x);
    m->size = 0;
    const whole_cell *const cell = whole_cell_of(s->cell);
    const size_t H = is_gated(s->opcode) ? s->arg[0].cols / cell->blocks : 0;
    for (size_t i = 0; i < s->arg[0].rows && H; i++)
        for (size_t j = 0; j < H; j++) apply_gated(m, s, cell, H, i, j);
    if (H) return;
    if (s->opcode == BPTT_GEMM) gemm(m, s);
    if (s->opcode == BPTT_SCATTER) scatter(m, s);
    if (s->opcode == BPTT_COLSUM) colsum(m, s);
    if (s->opcode == BPTT_GEMM || s->opcode == BPTT_SCATTER || s->opcode == BPTT_COLSUM) return;
    const bptt_mat *const y = &s->arg[strlen(bptt_opcode_roles[s->opcode]) - 1];
    for (size_t i = 0; i < y->rows; i++)
        for (size_t j = 0; j < y->cols; j++)
            if (s->opcode == BPTT_CELL_FORWARD)
                cell_forward(m, s, i, j);
            else
                apply_elementwise(m, s, y, i, j);
}

// ---- drawing --------------------------------------------------------------------------------------------------------

// A step's operands lie one after the other in a window of the buffer that starts anywhere.
typedef struct placing {
    mirror *m;
    size_t next;
} placing;

static bptt_mat operand(placing *p, size_t rows, size_t cols, bool t)
{
    const size_t down = t ? cols : rows, across = t ? rows : cols, ld = across + whole_below(&p->m->random, 4);
    bptt_mat x = p->m->whole;
    x.at = p->next, x.rows = rows, x.cols = cols, x.ld = ld, x.t = t;
    p->next += down * ld + whole_below(&p->m->random, 3);
    return x;
}

static size_t second_blocks(const whole_cell *c, unsigned coins)
{
    char blocks[2 * WHOLE_BLOCKS + 1];
    whole_blocks(c, coins & 16 ? 1 : 2, BIAS_HH, blocks);
    return strlen(blocks);
}

// An op of the cell, which for the second product is a mixed one.
static bptt_op draw_gated(mirror *m, bptt_opcode entry, size_t *end)
{
    uint64_t *const r = &m->random;
    const bool mixes = entry == BPTT_MIX || entry == BPTT_MIX_BACKWARD;
    const whole_cell *c = NULL;
    bptt_cell number = BPTT_TANH;
    do
        number = (bptt_cell)(BPTT_PLAIN_CELLS + whole_below(r, bptt_cells - BPTT_PLAIN_CELLS)),
        c = whole_cell_of(number);
    while (mixes && !c->mix);
    const size_t n = 1 + whole_below(r, GATED_ROWS), H = 1 + whole_below(r, GATED_SIDE), W = c->states * H;
    const unsigned coins = (unsigned)whole_below(r, 64);
    placing p = {m, whole_below(r, 200)};
    bptt_op s = {.opcode = entry, .alpha = 1, .cell = (bptt_cell)(BPTT_WHOLE + number)};
    s.arg[0] = operand(&p, n, c->blocks * H, false);
    if (entry == BPTT_GATES_FORWARD) {
        const size_t second = second_blocks(c, coins);
        if (coins & 4) s.arg[1] = operand(&p, 1, strlen(c->input) * H, false);
        if (coins & 8 && second) s.arg[2] = operand(&p, 1, second * H, false);
    }
    const size_t first = entry == BPTT_GATES_FORWARD ? 3 : 1, width = mixes ? H : W;
    for (size_t k = first; k < strlen(bptt_opcode_roles[entry]); k++) s.arg[k] = operand(&p, n, width, false);
    *end = p.next;
    return s;
}

// *end: how far into the buffer it reaches.
static bptt_op draw_step(mirror *m, bptt_opcode entry, size_t *end)
{
    uint64_t *const r = &m->random;
    const size_t n = 1 + whole_below(r, SIDE), k = 1 + whole_below(r, SIDE), c = 1 + whole_below(r, SIDE);
    const unsigned coins = (unsigned)whole_below(r, 64);
    placing p = {m, whole_below(r, 200)};
    bptt_op s = {.opcode = entry, .alpha = 1, .value = (double)whole_draw(r, 3), .cell = BPTT_WHOLE};
    const bool adds = strchr("+O", bptt_opcode_roles[entry][strlen(bptt_opcode_roles[entry]) - 1]) != NULL;
    s.beta = adds && (coins & 1 || entry == BPTT_ADD_ROW);
    bptt_mat id = bptt_rows(m->ids, whole_below(r, IDS - SIDE), n);
    switch (entry) {
    case BPTT_GEMM:
        s.alpha = coins & 2 ? -1 : 1;
        s.arg[0] = operand(&p, n, k, coins & 4), s.arg[1] = operand(&p, k, c, coins & 8);
        s.arg[2] = operand(&p, n, c, coins & 16);
        break;
    case BPTT_COPY: s.arg[0] = operand(&p, n, c, coins & 4), s.arg[1] = operand(&p, n, c, coins & 8); break;
    case BPTT_FILL: s.arg[0] = operand(&p, n, c, false); break;
    case BPTT_GATHER:
    case BPTT_SCATTER:
        s.arg[0] = id, s.arg[entry == BPTT_GATHER ? 1 : 2] = operand(&p, IDS / 4, c, false);
        s.arg[entry == BPTT_GATHER ? 2 : 1] = operand(&p, n, c, false);
        break;
    case BPTT_SCALE_ROWS:
    case BPTT_CELL_BACKWARD:
        s.arg[0] = operand(&p, n, entry == BPTT_SCALE_ROWS ? 1 : c, false), s.arg[1] = operand(&p, n, c, false);
        s.arg[2] = entry == BPTT_CELL_BACKWARD && coins & 4 ? s.arg[1] : operand(&p, n, c, false);
        break;
    case BPTT_CELL_FORWARD:
        s.arg[0] = operand(&p, n, c, false);
        if (coins & 4) s.arg[1] = operand(&p, 1, c, false);
        if (coins & 8) s.arg[2] = operand(&p, 1, c, false);
        s.arg[3] = coins & 16 ? s.arg[0] : operand(&p, n, c, false);
        break;
    case BPTT_COLSUM: s.arg[0] = operand(&p, 3 * n, c, false), s.arg[1] = operand(&p, 1, c, false); break;
    default: s.arg[0] = operand(&p, 1, c, false), s.arg[1] = operand(&p, n, c, false); break;
    }
    *end = p.next;
    return s;
}

// The i-th step of the plan, the first draw that fits and adds up to little enough; false if there is none.
static bool add_step(mirror *m, size_t i, whole_found *f)
{
    static const bptt_opcode gated[] = {BPTT_GATES_FORWARD, BPTT_MIX, BPTT_GATES_BACKWARD, BPTT_MIX_BACKWARD};
    static const bptt_opcode drawn[] = {BPTT_GEMM,         BPTT_COPY,          BPTT_GEMM,         BPTT_SCATTER,
                                        BPTT_CELL_FORWARD, BPTT_CELL_BACKWARD, BPTT_SCALE_ROWS,   BPTT_GATHER,
                                        BPTT_COLSUM,       BPTT_ADD_ROW,       BPTT_CELL_FORWARD, BPTT_FILL};
    const bptt_opcode entry = m->gated ? gated[i % 4] : drawn[i % (sizeof drawn / sizeof drawn[0])];
    for (size_t k = 0; k < TRIES; k++) {
        size_t end = 0;
        m->op[i] = (m->gated ? draw_gated : draw_step)(m, entry, &end);
        if (end > ROOM) continue;
        apply_op(m, &m->op[i]);
        if (m->size >= WHOLE_SUM) {
            f->refused++;
            continue;
        }
        memcpy(m->x, m->next, sizeof m->x);
        if (m->size > f->sum) f->sum = m->size;
        return true;
    }
    return false;
}

// ---- on a device ----------------------------------------------------------------------------------------------------

// Uploads random initial values and ids, and draws the plan. start: room for ROOM.
static bptt_status prepare_plan(mirror *m, bptt_device *d, double *start, whole_found *f, bptt_error *e)
{
    for (size_t i = 0; i < ROOM; i++) start[i] = (double)(m->x[i] = whole_draw(&m->random, 2));
    for (size_t i = 0; i < IDS; i++) m->id[i] = (int32_t)whole_below(&m->random, IDS / 4);
    bptt_status s = d->backend.write(d, m->whole, start, BPTT_F64, e);
    if (!s) s = d->backend.write(d, m->ids, m->id, BPTT_I32, e);
    for (size_t i = 0; !s && i < STEPS; i++)
        if (!add_step(m, i, f)) s = bptt_fail(e, BPTT_BAD_CONFIG, "no step in whole numbers after %zu", i);
    return s;
}

static bptt_status run_steps(mirror *m, bptt_device *d, const char *place, whole_found *f, bptt_error *e)
{
    char says[80];
    const bptt_plan plan = {.op = m->op, .ops = STEPS, .room = STEPS};
    void *handle = NULL;
    double *x = malloc(ROOM * sizeof *x);
    bptt_status s =
        x ? prepare_plan(m, d, x, f, e) : bptt_fail(e, BPTT_NO_MEMORY, "no memory for steps in whole numbers");
    if (!s) s = d->backend.prepare(d, &plan, &handle, e);
    if (!s) s = d->backend.run(d, handle, &(bptt_slots){0}, e);
    if (!s) s = d->backend.read(d, x, BPTT_F64, m->whole, e);
    (void)snprintf(says, sizeof says, "%s, a plan of random %ssteps", place, m->gated ? "gated " : "");
    if (!s) whole_compare(f, x, 1, m->x, ROOM, says);
    d->backend.forget(d, handle);
    free(x);
    f->cases++;
    return s;
}

bptt_status whole_steps(const whole_place *p, uint64_t seed, whole_found *f, bptt_error *e)
{
    bptt_model_config c;
    bptt_model *model = NULL;
    bptt_buf *block[LAYOUT_BLOCKS] = {0};
    bptt_model_defaults(&c);
    c.vocab = 2, c.hidden = 1;
    mirror *m = calloc(1, sizeof *m);
    bptt_status s = m ? whole_open(p, &c, &model, e) : bptt_fail(e, BPTT_NO_MEMORY, "no memory for random steps");
    if (s) {
        free(m);
        return s;
    }
    bptt_device *const d = model->device;
    const shape table[] = {{&m->whole, 1, ROOM, d->backend.real}, {&m->ids, IDS, 1, BPTT_I32}};
    m->random = seed;
    s = layout_alloc(d, table, 2, block, e);
    if (!s) s = run_steps(m, d, p->name, f, e);
    m->gated = true;
    if (!s) s = run_steps(m, d, p->name, f, e);
    layout_free(d, block);
    bptt_model_close(model);
    free(m);
    return s;
}
