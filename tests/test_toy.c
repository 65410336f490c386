// A backend on its first day: the shim over a device whose memory the host cannot touch trains to ref's bits, saves
// what ref saves, and tells every failure once.
#include "suite.h"
#include "toy.h"
#include "trainer_on.h"

START_TEST(the_host_cannot_read_a_toys_memory)
{
    const bptt_backend b = bptt_toy();
    bptt_device *d = NULL;
    bptt_buf *m = NULL;
    const float x[4] = {0, 1, -2.5f, 0};
    float back[4];
    CK_OK(b.open(&b, &(bptt_device_config){0}, &d, NULL));
    CK_OK(b.alloc(d, sizeof x, &m, NULL));
    const bptt_mat view = {.buf = m, .rows = 2, .cols = 2, .ld = 2, .type = BPTT_F32, .t = true};
    CK_OK(b.write(d, view, x, BPTT_F32, NULL));
    size_t bytes = 0;
    const unsigned char *stored = toy_stored(m, &bytes);
    ck_assert_uint_eq(bytes, sizeof x);
    for (size_t i = 0; i < 4; i++) ck_assert(memcmp(stored + 4 * i, &x[i], 4) != 0);
    CK_OK(b.read(d, back, BPTT_F32, view, NULL));
    ck_assert_mem_eq(back, x, sizeof x);
    b.free(d, m);
    b.free(d, NULL);
    b.close(d);
    b.close(NULL);
}
END_TEST

// ---- the same bits as ref -------------------------------------------------------------------------------------------

enum { STEPS = 5, BATCH = 3 };

// What some windows leave behind on a backend, all of it.
typedef struct past {
    snapshot model; // freed by who compares it
    double *state;
    bptt_report report[6];
    float *logp;
    size_t cells;
} past;

static net net_on(const bptt_backend *b, const bptt_model_config *c)
{
    const bptt_run_config rc = {
        .batch = BATCH, .steps = STEPS, .gradient = 1, .keep = 1, .input_gradient = c->input > 0};
    net n = {.c = *c, .rc = rc};
    const size_t N = rc.steps * rc.batch;
    bptt_error e = {0};
    CK_TRUE(bptt_model_open_on(b, c, &n.m, &e) == BPTT_OK, "%s", e.words);
    CK_TRUE(bptt_run_open(n.m, &rc, &n.r, &e) == BPTT_OK, "%s", e.words);
    n.h0 = NULL;
    n.dense = reals(N * c->input);
    n.token = must_alloc(N, sizeof *n.token), n.target = must_alloc(N, sizeof *n.target);
    n.weight = must_alloc(N, sizeof *n.weight), n.keep = must_alloc(N, sizeof *n.keep);
    return n;
}

static past live(const bptt_backend *b, const bptt_model_config *c)
{
    past p = {0};
    net n = net_on(b, c);
    for (uint64_t k = 0; k < 6; k++) {
        bptt_error e = {0};
        net_random_window(&n, 40 + k);
        if (k & 1) n.w.keep = n.keep, n.w.weight = n.weight;
        const bptt_status s =
            k == 5 ? bptt_run_evaluate(n.r, &n.w, &p.report[k], &e) : bptt_run_train(n.r, &n.w, 0.02, &p.report[k], &e);
        CK_TRUE(s == BPTT_OK, "%s: %s", b->name, e.words);
        n.w.keep = n.w.weight = NULL;
    }
    p.logp = must_alloc(BATCH * c->vocab, sizeof *p.logp);
    if (!c->input) CK_OK(bptt_run_next(n.r, n.token, p.logp, NULL));
    p.state = net_state(n.r, c->layers * BATCH * c->hidden);
    p.model = snapshot_of(n.m);
    if (strcmp(b->name, "ref") != 0) p.cells = toy_of(n.m->device)->cells;
    net_close(&n);
    return p;
}

static bool same_past(past *a, past *b, const bptt_model_config *c)
{
    bool same = a->model.updates == b->model.updates && memcmp(a->report, b->report, sizeof a->report) == 0;
    for (int i = 0; i < 4; i++) {
        const double *x = a->model.part[i], *y = b->model.part[i];
        same = same && !x == !y && (!x || same_bits(x, y, a->model.n));
        free(a->model.part[i]), free(b->model.part[i]);
    }
    same = same && same_bits(a->state, b->state, c->layers * BATCH * c->hidden);
    same = same && memcmp(a->logp, b->logp, BATCH * c->vocab * sizeof *a->logp) == 0;
    free(a->state), free(b->state), free(a->logp), free(b->logp);
    return same;
}

START_TEST(training_on_the_toy_gives_refs_bits)
{
    const bptt_backend ref = bptt_ref_f32(), own = bptt_toy();
    for (int o = BPTT_SGD; o <= BPTT_ADAM; o++)
        for (int i = 0; i < 2; i++) {
            bptt_model_config c = net_config("", BPTT_F32, 7, 33, 2);
            c.input = i ? 7 : 0, c.optimizer = (bptt_optimizer)o, c.biases = 1 + i, c.momentum = 0.5;
            c.cell = i ? BPTT_RELU : BPTT_TANH, c.clip = 0.1, c.clip_mode = i ? BPTT_CLIP_VALUE : BPTT_CLIP_NORM;
            past a = live(&ref, &c), b = live(&own, &c);
            CK_TRUE(same_past(&a, &b, &c), "optimizer %d, %s: other bits than ref's", o, i ? "dense" : "tokens");
        }
}
END_TEST

START_TEST(an_entry_of_its_own_takes_the_place_of_the_shims)
{
    bptt_backend own = bptt_toy(), rest = bptt_toy();
    rest.entry[BPTT_CELL_FORWARD] = rest.entry[BPTT_COPY]; // the shim's, for all entries
    const bptt_model_config c = net_config("", BPTT_F32, 7, 5, 2);
    past a = live(&own, &c), b = live(&rest, &c);
    ck_assert_uint_eq(a.cells, 6 * STEPS * 2 + 2); // six windows and one step, two layers
    ck_assert_uint_eq(b.cells, 0);
    CK_TRUE(same_past(&a, &b, &c), "cell_forward of its own gives other bits");
}
END_TEST

// Losses are rounded to float one by one and their sum once more; all are positive.
START_TEST(sums_in_float_are_refs_rounded)
{
    const bptt_backend wide = bptt_toy(), narrow = bptt_toy_narrow();
    const bptt_model_config c = net_config("", BPTT_F32, 7, 33, 2);
    past a = live(&wide, &c), b = live(&narrow, &c);
    const double want = a.report[0].loss, bound = 2 * gamma_of(2, U32) * want, got = b.report[0].loss;
    CK_NEAR(near_all(&got, &want, &bound, 1), "the first loss");
    ck_assert(got * b.report[0].weight == (double)(float)(got * b.report[0].weight));
    (void)same_past(&a, &b, &c);
}
END_TEST

// ---- saving ---------------------------------------------------------------------------------------------------------

START_TEST(a_run_saved_on_the_toy_goes_on_elsewhere_as_if_never_stopped)
{
    enum { UPDATES = 10 };
    unsigned char *text = text_of(100, 9, 3);
    const bptt_backend own = bptt_toy();
    bptt_trainer_config c = config_of("ref", BPTT_F32);
    c.valid_every = 3, c.model.clip = 0.1;
    bptt_trainer *whole = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &whole, NULL));
    trainer_go(whole, UPDATES);
    for (int cut = 0; cut <= UPDATES; cut += 5) {
        char path[32];
        bptt_trainer *t = trainer_on(&own, &c, text, 100), *more = NULL;
        bptt_trainer_config again;
        bptt_trainer_defaults(&again);
        again.model.backend = "ref", again.iterations = 0, again.epochs = 0;
        temporary(path);
        trainer_go(t, cut);
        CK_OK(bptt_trainer_save(t, path, NULL));
        CK_OK(bptt_trainer_resume(path, &again, text, 100, &more, NULL));
        unlink(path);
        trainer_go(t, UPDATES - cut);
        trainer_go(more, UPDATES - cut);
        CK_TRUE(same_files(saved(whole), saved(t)), "the toy, a save at %d: other bytes than ref's", cut);
        CK_TRUE(same_files(saved(whole), saved(more)), "from the toy to ref at %d: other bytes", cut);
        bptt_trainer_close(more);
        bptt_trainer_close(t);
    }
    bptt_trainer_close(whole);
    free(text);
}
END_TEST

// ---- runs in flight, failures ---------------------------------------------------------------------------------------

// x [3][5] with room around it; its sum of squares goes to out.
typedef struct bench {
    bptt_backend b;
    bptt_device *d;
    bptt_buf *memory, *sums;
    bptt_step step;
    bptt_plan plan;
    void *handle;
} bench;

static void bench_open(bench *w)
{
    *w = (bench){.b = bptt_toy()};
    CK_OK(w->b.open(&w->b, &(bptt_device_config){.profile = true}, &w->d, NULL));
    CK_OK(w->b.alloc(w->d, 200, &w->memory, NULL));
    CK_OK(w->b.alloc(w->d, 16, &w->sums, NULL));
    const bptt_mat x = {.buf = w->memory, .at = 4, .rows = 3, .cols = 5, .ld = 7, .type = BPTT_F32};
    const bptt_mat out = {.buf = w->sums, .at = 1, .rows = 1, .cols = 1, .ld = 1, .type = BPTT_F64};
    w->step = (bptt_step){.entry = BPTT_SUMSQ, .op = {x, out}};
    w->plan = (bptt_plan){.step = &w->step, .steps = 1, .room = 1, .input = {x}, .output = out};
    CK_OK(w->b.prepare(w->d, &w->plan, &w->handle, NULL));
}

static void bench_close(bench *w)
{
    w->b.forget(w->d, w->handle);
    w->b.forget(w->d, NULL);
    w->b.free(w->d, w->memory);
    w->b.free(w->d, w->sums);
    w->b.close(w->d);
}

static bptt_status send(bench *w, double value, bptt_error *e)
{
    double x[15] = {0};
    x[14] = value;
    return w->b.run(w->d, w->handle, &(bptt_slots){.input = {x}, .type = {BPTT_F64}}, e);
}

static double fetch(bench *w)
{
    double out[BPTT_OUTPUTS] = {0};
    bptt_error e = {0};
    CK_TRUE(w->b.collect(w->d, w->handle, out, &e) == BPTT_OK, "%s", e.words);
    return out[0];
}

START_TEST(two_runs_may_wait_and_each_keeps_its_own_output)
{
    bench w;
    bench_open(&w);
    double out[BPTT_OUTPUTS];
    ck_assert_int_eq(w.b.collect(w.d, w.handle, out, NULL), BPTT_BAD_INPUT);
    CK_OK(send(&w, 3, NULL));
    CK_OK(send(&w, 5, NULL));
    ck_assert_int_eq(send(&w, 7, NULL), BPTT_BAD_INPUT);
    ck_assert(fetch(&w) == 9);
    CK_OK(send(&w, 7, NULL));
    ck_assert(fetch(&w) == 25);
    ck_assert(fetch(&w) == 49);
    ck_assert_int_eq(w.b.collect(w.d, w.handle, out, NULL), BPTT_BAD_INPUT);
    ck_assert(w.d->spent[BPTT_SUMSQ] > 0 && w.d->spent[BPTT_TRANSFER_IN] > 0);
    bench_close(&w);
}
END_TEST

// One run makes five transfers: the input in, x and the old sum out, the sum in, the output out.
START_TEST(a_transfer_that_fails_is_told_once_and_by_run)
{
    enum { TRANSFERS = 5 };
    bench w;
    bench_open(&w);
    CK_OK(send(&w, 3, NULL));
    ck_assert(fetch(&w) == 9);
    ck_assert_uint_eq(toy_of(w.d)->transfers, TRANSFERS);
    for (size_t k = 1; k <= TRANSFERS; k++) {
        bptt_error e = {0};
        double out[BPTT_OUTPUTS];
        toy_of(w.d)->until = k;
        ck_assert_int_eq(send(&w, 5, &e), BPTT_DEVICE);
        CK_TRUE(strstr(e.words, "told to fail"), "transfer %zu: \"%s\"", k, e.words);
        ck_assert_int_eq(w.b.collect(w.d, w.handle, out, NULL), BPTT_BAD_INPUT);
        CK_OK(w.b.sync(w.d, NULL));
        CK_OK(send(&w, 7, NULL));
        ck_assert(fetch(&w) == 49);
    }
    w.plan.output.buf = NULL; // nothing is read at the end: run asks the entries themselves
    toy_of(w.d)->until = 2;
    ck_assert_int_eq(send(&w, 5, NULL), BPTT_DEVICE);
    bench_close(&w);
}
END_TEST

START_TEST(an_entry_by_itself_keeps_its_failure_until_it_is_asked)
{
    bench w;
    bench_open(&w);
    const bptt_step fill = {.entry = BPTT_FILL, .op = {w.plan.input[0]}, .value = 2};
    bptt_error e = {0};
    float x[15];
    toy_of(w.d)->until = 1;
    w.b.entry[BPTT_FILL](w.d, &fill, &(bptt_slots){0});
    w.b.entry[BPTT_FILL](w.d, &fill, &(bptt_slots){0}); // does nothing: the first failed
    ck_assert_uint_eq(toy_of(w.d)->transfers, 1);
    ck_assert_int_eq(w.b.read(w.d, x, BPTT_F32, fill.op[0], &e), BPTT_DEVICE);
    ck_assert_int_eq(e.code, BPTT_DEVICE);
    CK_OK(w.b.read(w.d, x, BPTT_F32, fill.op[0], NULL));
    for (int i = 0; i < 15; i++) ck_assert(x[i] == 0);
    w.b.entry[BPTT_FILL](w.d, &fill, &(bptt_slots){0});
    CK_OK(w.b.sync(w.d, NULL));
    CK_OK(w.b.read(w.d, x, BPTT_F32, fill.op[0], NULL));
    for (int i = 0; i < 15; i++) ck_assert(x[i] == 2);
    bench_close(&w);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, the_host_cannot_read_a_toys_memory);
    tcase_add_test(c, training_on_the_toy_gives_refs_bits);
    tcase_add_test(c, an_entry_of_its_own_takes_the_place_of_the_shims);
    tcase_add_test(c, sums_in_float_are_refs_rounded);
    tcase_add_test(c, a_run_saved_on_the_toy_goes_on_elsewhere_as_if_never_stopped);
    tcase_add_test(c, two_runs_may_wait_and_each_keeps_its_own_output);
    tcase_add_test(c, a_transfer_that_fails_is_told_once_and_by_run);
    tcase_add_test(c, an_entry_by_itself_keeps_its_failure_until_it_is_asked);
}

int main(void) { return run_suite("toy", add, 60); }
