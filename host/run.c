// A run: memory for B streams of T steps, plans, carried state.
#include "run.h"
#include "machine.h"
#include "sized.h"

#include <stdlib.h>

enum {
    STEPS_AT_A_TIME = 32,       // steps of one pass of a forward-only run
    LOGITS_AT_A_TIME = 1 << 18, // default number of elements of a decoder block: 1 MiB of floats
    FIXED_SHAPES = 19,
    SHAPES_PER_LAYER = 8
};

// Maximum number of rows of a decoder block.
static size_t most_rows(const bptt_backend *b, size_t outputs)
{
    const size_t wished = (b->logits_at_a_time ? b->logits_at_a_time : LOGITS_AT_A_TIME) / outputs;
    return wished > 64 ? wished : 64;
}

// Splits into blocks of nearly equal size. The result depends on the shape alone.
static size_t decoder_rows(size_t rows, size_t most)
{
    const size_t blocks = (rows + most - 1) / most;
    return (rows + blocks - 1) / blocks;
}

// Number of steps of a forward-only pass: its logits fit one decoder block.
static size_t pass_steps(size_t B, size_t T, size_t most)
{
    const size_t fit = most / B, S = fit < STEPS_AT_A_TIME ? fit : STEPS_AT_A_TIME;
    return S < 1 ? 1 : S < T ? S : T;
}

// Fills the layout table of a run's memory. views: room for SHAPES_PER_LAYER * (L + 2). Returns the number of rows.
static size_t run_table(const bptt_backend *b, const bptt_model_config *m, const bptt_run *r, run_memory *mem,
                        bptt_mat *views, shape *table)
{
    const bptt_cell_row *cell = bptt_cell_row_of(m->cell);
    const size_t B = r->B, N = r->T * B, L = m->layers, O = model_outputs(m), R = r->R;
    const size_t H = m->hidden, W = cell->states * H, ZH = cell->blocks * H;
    const size_t in = model_blocks(m, WEIGHT_IH).count, hidden = model_blocks(m, WEIGHT_HH).count;
    const size_t mixed = model_blocks(m, WEIGHT_MIXED).count;
    const bptt_type real = b->real, sum = b->sum;
    const bool back = r->config.gradient, flip = back && b->transposed_copies, keep = r->config.keep;
    const bool shared = back && !r->keeps_dz, learned = m->learned_state;
    size_t n = 0;
    mem->h = views, mem->kept = views + L + 2;
    mem->hh_flipped = views + 2 * (L + 2), mem->ih_flipped = views + 3 * (L + 2);
    mem->dz = views + 4 * (L + 2), mem->gates = views + 5 * (L + 2);
    mem->mixed = views + 6 * (L + 2), mem->mixed_flipped = views + 7 * (L + 2);
    const shape fixed[FIXED_SHAPES] = {
        {&mem->token, m->input ? 0 : N, 1, BPTT_I32},
        {&mem->target, N, m->output ? O : 1, m->output ? real : BPTT_I32},
        {&mem->dense, m->input ? N : 0, m->input, real},
        {&mem->weight, N, 1, real},
        {&mem->keep, keep ? N : 0, 1, real},
        {&mem->fresh, learned ? N : 0, 1, real},
        {&mem->minus, learned ? N : 0, 1, real},
        {&mem->state, L * B, W, real},
        {&mem->dh[0], shared ? N + B : 0, W, real},
        {&mem->dh[1], shared && L > 1 ? N + B : 0, W, real},
        {&mem->dkept, back && keep ? L * (learned ? N : B) : 0, W, real},
        {&mem->dmixed, back && mixed ? L * B : 0, H, real},
        {&mem->dstate, back ? L * B : 0, W, real},
        {&mem->dlast, back && r->config.last_gradient ? L * B : 0, W, real},
        {&mem->dx, back && m->input && r->config.input_gradient ? N : 0, m->input, real},
        {&mem->logits, R > B ? R : B, O, real},
        {&mem->losses, N, 1, sum},
        {&mem->stat, 1, STATS, sum},
        {&mem->out_flipped, flip ? O : 0, H, real},
    };
    for (size_t i = 0; i < FIXED_SHAPES; i++)
        if (fixed[i].view) table[n++] = fixed[i];
    for (size_t l = 0; l < (back ? L : L < 2 ? L : 2); l++)
        table[n++] = (shape){&mem->h[l], ((back ? r->T : r->S) + 1) * B, W, real};
    for (size_t l = 0; l < (back ? L : 1); l++)
        table[n++] = (shape){&mem->gates[l], !bptt_cell_is_gated(m->cell) ? 0 : back ? N : r->S * B, ZH, real};
    for (size_t l = 0; l < (back ? L : 1); l++)
        table[n++] = (shape){&mem->mixed[l], !mixed ? 0 : back ? N : B, H, real};
    for (size_t l = 0; l < (back ? L : 1); l++) table[n++] = (shape){&mem->kept[l], keep ? back ? N : B : 0, W, real};
    for (size_t l = 0; l < L; l++) {
        table[n++] = (shape){&mem->dz[l], r->keeps_dz ? N + B : 0, W, real};
        table[n++] = (shape){&mem->hh_flipped[l], flip ? hidden * H : 0, H, real};
        table[n++] = (shape){&mem->ih_flipped[l], flip && l > 0 ? in * H : 0, H, real};
        table[n++] = (shape){&mem->mixed_flipped[l], flip ? mixed * H : 0, H, real};
    }
    return n;
}

// Checks of `lengths`: what the packed streams of a window do not have.
static bptt_status check_lengths(const bptt_run_config *c, bptt_error *e)
{
    if (c->lengths < 0 || c->lengths > 1)
        return bptt_fail(e, BPTT_BAD_CONFIG, "`lengths` is %d, but must be 0 or 1", c->lengths);
    if (c->lengths && c->last_gradient)
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "last_gradient does not go with lengths: sequences of their own have no state after a window");
    return BPTT_OK;
}

static bptt_status check_config(const bptt_model_config *m, const bptt_run_config *c, bptt_error *e)
{
    if (c->batch == 0 || c->steps == 0)
        return bptt_fail(e, BPTT_BAD_CONFIG, "`batch` is %zu and `steps` is %zu, but both must be at least 1", c->batch,
                         c->steps);
    if (c->batch > INT32_MAX || c->steps > INT32_MAX / c->batch)
        return bptt_fail(e, BPTT_BAD_CONFIG, "`batch` %zu times `steps` %zu must be below 2^31", c->batch, c->steps);
    if (c->input_gradient && (!m->input || !c->gradient))
        return bptt_fail(e, BPTT_BAD_CONFIG, "input_gradient needs a dense model and gradient = 1");
    if (c->burn_in >= c->steps)
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "`burn_in` is %zu, but must be below `steps` (%zu): some step must carry a loss", c->burn_in,
                         c->steps);
    if (m->learned_state && !c->keep && !c->lengths)
        return bptt_fail(e, BPTT_BAD_CONFIG,
                         "the model has a learned initial state, so its runs need keep = 1, or lengths: a keep of 0 "
                         "marks a start");
    if (c->last_gradient && !c->gradient) return bptt_fail(e, BPTT_BAD_CONFIG, "last_gradient needs gradient = 1");
    return check_lengths(c, e);
}

static void set_sizes(bptt_run *r, const bptt_backend *b, const bptt_model_config *m, const bptt_run_config *c)
{
    r->config = *c;
    r->config.keep = c->keep || c->lengths;
    r->B = c->batch, r->T = c->steps;
    r->keeps_dz = r->keeps_dz || (b->overlaps && c->gradient);
    const size_t most = most_rows(b, model_outputs(m));
    r->S = c->gradient ? r->T : pass_steps(r->B, r->T, most);
    r->R = c->gradient ? decoder_rows(r->T * r->B, most) : r->S * r->B;
}

// Floats of host memory of a run: ones [N], and with burn_in weights [N] and masked [N].
static size_t host_floats(const bptt_run *r) { return r->T * r->B * (r->config.burn_in ? 3 : 1); }

bptt_status run_size(const bptt_backend *b, const bptt_model_config *m, const bptt_run_config *c, size_t *bytes,
                     size_t *host, bptt_error *e)
{
    bptt_status s = check_config(m, c, e);
    if (s) return s;
    bptt_run r = {0};
    set_sizes(&r, b, m, c);
    run_memory mem = {0};
    bptt_mat *views = calloc(SHAPES_PER_LAYER * (m->layers + 2), sizeof *views);
    shape *table = calloc(FIXED_SHAPES + SHAPES_PER_LAYER * (m->layers + 2), sizeof *table);
    if (!views || !table)
        s = bptt_fail(e, BPTT_NO_MEMORY, "no memory for a table of shapes");
    else
        s = layout_size(b, table, run_table(b, m, &r, &mem, views, table), bytes, e);
    free(table);
    free(views);
    *host = host_floats(&r) * sizeof(float) + plan_bytes(m, c->gradient) * (c->lengths ? MOST_SIZES : 1);
    if (c->lengths) *host += packing_bytes(m, c, b->real);
    return s;
}

static bptt_status make_memory(bptt_run *r, bptt_error *e)
{
    const bptt_model_config *m = &r->model->config;
    bptt_device *d = r->model->device;
    r->views = calloc(SHAPES_PER_LAYER * (m->layers + 2), sizeof *r->views);
    const size_t N = r->T * r->B, without = r->config.burn_in * r->B;
    r->ones = malloc(host_floats(r) * sizeof *r->ones);
    shape *table = calloc(FIXED_SHAPES + SHAPES_PER_LAYER * (m->layers + 2), sizeof *table);
    bptt_status s = BPTT_OK;
    if (!r->views || !r->ones || !table)
        s = bptt_fail(e, BPTT_NO_MEMORY, "no memory for a run of %zu x %zu", r->T, r->B);
    else
        s = layout_alloc(d, table, run_table(&d->backend, m, r, &r->mem, r->views, table), r->block, e);
    free(table);
    for (size_t i = 0; !s && i < host_floats(r); i++) r->ones[i] = i >= N && (i - N) % N < without ? 0.0f : 1.0f;
    r->weights = without ? r->ones + N : r->ones, r->masked = r->ones + 2 * N;
    if (!s) s = d->backend.write(d, r->mem.weight, r->weights, BPTT_F32, e);
    if (!s && r->mem.keep.buf) s = d->backend.write(d, r->mem.keep, r->ones, BPTT_F32, e);
    const bptt_op minus = {.opcode = BPTT_FILL, .value = -1, .arg = {r->mem.minus}};
    if (!s && r->mem.minus.buf) d->backend.op[BPTT_FILL](d, &minus, &(bptt_slots){0});
    return s || !m->learned_state ? s : bptt_run_reset(r, e);
}

static bptt_status make_plans(bptt_run *r, bptt_error *e)
{
    bptt_device *d = r->model->device;
    for (work w = EVALUATE; w < WORKS; w++) {
        if (w > NEXT && !r->config.gradient) continue;
        if (!plan_work(&r->plan[w], r, w)) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a plan");
        const bptt_status s = d->backend.prepare(d, &r->plan[w], &r->handle[w], e);
        if (s) return s;
    }
    return BPTT_OK;
}

// The rows of r's memory that a run of fewer streams uses: the first ones of each matrix.
static bptt_status make_views(bptt_run *fewer, bptt_run *r, bptt_error *e)
{
    const bptt_model_config *m = &r->model->config;
    const bptt_backend *b = &r->model->device->backend;
    const size_t per_layer = SHAPES_PER_LAYER * (m->layers + 2), most = FIXED_SHAPES + per_layer;
    fewer->views = calloc(per_layer, sizeof *fewer->views);
    shape *table = calloc(2 * most, sizeof *table);
    if (!fewer->views || !table) {
        free(table);
        return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a table of shapes");
    }
    const size_t n = run_table(b, m, fewer, &fewer->mem, fewer->views, table);
    (void)run_table(b, m, r, &r->mem, r->views, table + most); // the same rows of the table
    for (size_t i = 0; i < n; i++)
        if (table[i].rows) *table[i].view = bptt_rows(*table[most + i].view, 0, table[i].rows);
    free(table);
    return BPTT_OK;
}

// A run of fewer streams in the memory of r. *made belongs to r, also after a failure.
static bptt_status make_sized(bptt_run *r, size_t streams, bptt_run **made, bptt_error *e)
{
    bptt_run *fewer = calloc(1, sizeof *fewer);
    if (!fewer) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a run");
    *made = fewer;
    *fewer = (bptt_run){.model = r->model, .config = r->config, .B = streams, .T = r->T, .keeps_dz = r->keeps_dz};
    fewer->config.batch = streams;
    fewer->config.burn_in = 0; // the packed weights have it
    fewer->S = r->S;
    fewer->R = r->config.gradient ? decoder_rows(r->T * streams, r->R) : r->S * streams;
    const bptt_status s = make_views(fewer, r, e);
    return s ? s : make_plans(fewer, e);
}

// Runs of B/8, 2B/8, ... B streams, rounded up.
static bptt_status make_sizes(bptt_run *r, bptt_error *e)
{
    bptt_status s = packing_open(&r->packing, &r->model->config, &r->config, r->model->device->backend.real, e);
    size_t before = 0;
    for (size_t k = 1; !s && k <= MOST_SIZES; k++) {
        const size_t streams = (r->B * k + MOST_SIZES - 1) / MOST_SIZES;
        if (streams > before) s = make_sized(r, streams, &r->sized[r->sizes++], e);
        before = streams;
    }
    r->last = r->sized[0];
    return s;
}

bptt_status bptt_run_open(bptt_model *m, const bptt_run_config *c, bptt_run **r, bptt_error *e)
{
    bptt_run_config whole;
    if (!m || !c || !r)
        return bptt_fail(e, BPTT_BAD_INPUT, "bptt_run_open needs a model, a configuration and an output pointer");
    const bptt_status s = run_config_in(&whole, c, e);
    return s ? s : run_open(m, &whole, false, r, e);
}

bptt_status run_open(bptt_model *m, const bptt_run_config *c, bool keeps_dz, bptt_run **r, bptt_error *e)
{
    bptt_status s = check_config(&m->config, c, e);
    if (s) return s;
    size_t bytes = 0, host = 0;
    s = run_size(&m->device->backend, &m->config, c, &bytes, &host, e);
    if (!s) s = check_memory(m->device, bytes, host, "a run of this batch and these steps", e);
    if (s) return s;
    bptt_run *made = calloc(1, sizeof *made);
    if (!made) return bptt_fail(e, BPTT_NO_MEMORY, "no memory for a run");
    made->model = m;
    made->keeps_dz = keeps_dz && c->gradient;
    set_sizes(made, &m->device->backend, &m->config, c);
    s = make_memory(made, e);
    if (!s) s = c->lengths ? make_sizes(made, e) : make_plans(made, e);
    if (s) {
        bptt_run_close(made);
        return s;
    }
    *r = made;
    return BPTT_OK;
}

static void free_plans(bptt_run *r)
{
    bptt_device *d = r->model->device;
    for (work w = EVALUATE; w < WORKS; w++) {
        d->backend.forget(d, r->handle[w]);
        free(r->plan[w].op);
    }
    free(r->views);
}

void bptt_run_close(bptt_run *r)
{
    if (!r) return;
    while (r->submitted > 0) (void)bptt_run_collect(r, NULL, NULL); // collect corrects the model's count of updates
    for (size_t k = 0; k < r->sizes; k++) {
        if (r->sized[k]) free_plans(r->sized[k]);
        free(r->sized[k]);
    }
    free_plans(r);
    layout_free(r->model->device, r->block);
    packing_close(&r->packing);
    free(r->ones);
    free(r);
}

// Sets the states of streams first .. first + count - 1 in every layer to the initial state.
static bptt_status start_streams(bptt_run *r, size_t first, size_t count, bptt_error *e)
{
    bptt_device *d = r->model->device;
    for (size_t l = 0; l < r->model->L; l++) {
        const bptt_mat state = bptt_rows(r->mem.state, l * r->B + first, count);
        const bptt_mat h0 = model_layer(r->model, BPTT_WEIGHTS, l, STATE_0);
        const bptt_op zero = {.opcode = BPTT_FILL, .arg = {state}}, add = {.opcode = BPTT_ADD_ROW, .arg = {h0, state}};
        d->backend.op[BPTT_FILL](d, &zero, &(bptt_slots){0});
        if (h0.buf) d->backend.op[BPTT_ADD_ROW](d, &add, &(bptt_slots){0});
    }
    return d->backend.sync(d, e);
}

bptt_status bptt_run_reset(bptt_run *r, bptt_error *e) { return start_streams(r, 0, r->B, e); }

bptt_status bptt_run_reset_stream(bptt_run *r, size_t b, bptt_error *e)
{
    if (b >= r->B)
        return bptt_fail(e, BPTT_BAD_INPUT, "stream %zu does not exist: the run has %zu, numbered from 0", b, r->B);
    return start_streams(r, b, 1, e);
}

bptt_status require_carried_state(const bptt_run *r, bptt_error *e)
{
    if (!r->config.lengths) return BPTT_OK;
    return bptt_fail(e, BPTT_BAD_INPUT,
                     "the run was opened with lengths, so each of its sequences starts anew and no state is carried; "
                     "open a run without lengths for this call");
}

bptt_status bptt_run_read_state(bptt_run *r, void *h, bptt_type as, bptt_error *e)
{
    if (!h) return bptt_fail(e, BPTT_BAD_INPUT, "`h` is NULL, but must point to the state");
    bptt_status s = require_carried_state(r, e);
    if (!s) s = check_type("as", as, e);
    return s ? s : r->model->device->backend.read(r->model->device, h, as, r->mem.state, e);
}

bptt_status bptt_run_write_state(bptt_run *r, const void *h, bptt_type as, bptt_error *e)
{
    if (!h) return bptt_fail(e, BPTT_BAD_INPUT, "`h` is NULL, but must point to the state");
    bptt_status s = require_carried_state(r, e);
    if (!s) s = check_type("as", as, e);
    return s ? s : r->model->device->backend.write(r->model->device, r->mem.state, h, as, e);
}

bptt_status bptt_run_write_last_gradient(bptt_run *r, const void *dh, bptt_type as, bptt_error *e)
{
    if (!dh) return bptt_fail(e, BPTT_BAD_INPUT, "`dh` is NULL, but must point to a gradient");
    if (!r->mem.dlast.buf) return bptt_fail(e, BPTT_BAD_INPUT, "the run was opened without last_gradient");
    const bptt_status s = check_type("as", as, e);
    return s ? s : r->model->device->backend.write(r->model->device, r->mem.dlast, dh, as, e);
}
