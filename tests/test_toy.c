// A new backend: the shim over a device with memory that the host cannot access trains to ref's bits, saves ref's file,
// and reports every failure once.
#include "past.h"
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
    CK_OK(b.open(&b, &(bptt_compute){0}, &d, NULL));
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

START_TEST(training_on_the_toy_gives_refs_bits)
{
    const bptt_backend ref = bptt_ref_f32(), own = bptt_toy();
    for (int o = BPTT_SGD; o <= BPTT_ADAM; o++)
        for (int i = 0; i < 2; i++) {
            bptt_model_config c = net_config("", BPTT_F32, 7, 33, 2);
            c.input = i ? 7 : 0, c.optimizer = (bptt_optimizer)o, c.biases = 1 + i, c.momentum = 0.5;
            c.cell = i ? BPTT_RELU : BPTT_TANH, c.clip = 0.1, c.clip_mode = i ? BPTT_CLIP_VALUE : BPTT_CLIP_NORM;
            const char *other = other_bits(&ref, &own, &c, BATCH, STEPS);
            CK_TRUE(!other, "optimizer %d, %s: %s other than ref's", o, i ? "dense" : "tokens", other);
        }
}
END_TEST

START_TEST(an_entry_of_its_own_takes_the_place_of_the_shims)
{
    bptt_backend own = bptt_toy(), rest = bptt_toy();
    rest.op[BPTT_CELL_FORWARD] = rest.op[BPTT_COPY]; // the shim's, for all entries
    const bptt_model_config c = net_config("", BPTT_F32, 7, 5, 2);
    net n, m;
    net_open_on(&n, &own, &c, BATCH, STEPS);
    net_open_on(&m, &rest, &c, BATCH, STEPS);
    past a = live(&n), b = live(&m);
    ck_assert_uint_eq(toy_of(n.m->device)->cells, (WINDOWS * STEPS + 1) * 2); // windows and one step, two layers
    ck_assert_uint_eq(toy_of(m.m->device)->cells, 0);
    net_close(&n), net_close(&m);
    const char *other = other_past(&a, &b);
    CK_TRUE(!other, "cell_forward of its own: other %s", other);
}
END_TEST

// Losses are rounded to float one by one and their sum once more; all are positive.
START_TEST(sums_in_float_are_refs_rounded)
{
    const bptt_backend wide = bptt_toy(), narrow = bptt_toy_narrow();
    const bptt_model_config c = net_config("", BPTT_F32, 7, 33, 2);
    net n, m;
    net_open_on(&n, &wide, &c, BATCH, STEPS);
    net_open_on(&m, &narrow, &c, BATCH, STEPS);
    bptt_report a, b;
    net_random_window(&n, 1), net_random_window(&m, 1);
    CK_OK(bptt_run_evaluate(n.r, &n.w, &a, NULL));
    CK_OK(bptt_run_evaluate(m.r, &m.w, &b, NULL));
    const double bound = 2 * gamma_of(2, U32) * a.loss;
    CK_NEAR(near_all(&b.loss, &a.loss, &bound, 1), "the loss");
    const double sum = b.loss * b.weight; // off by two roundings of double
    ck_assert(fabs(sum - (double)(float)sum) <= 4 * U64 * sum && b.loss != a.loss);
    net_close(&n), net_close(&m);
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
        again.model.compute.backend = "ref", again.iterations = 0, again.epochs = 0;
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
    bptt_op step;
    bptt_plan plan;
    void *handle;
} bench;

static void bench_open(bench *w)
{
    *w = (bench){.b = bptt_toy()};
    CK_OK(w->b.open(&w->b, &(bptt_compute){.profile = true}, &w->d, NULL));
    CK_OK(w->b.alloc(w->d, 200, &w->memory, NULL));
    CK_OK(w->b.alloc(w->d, 16, &w->sums, NULL));
    const bptt_mat x = {.buf = w->memory, .at = 4, .rows = 3, .cols = 5, .ld = 7, .type = BPTT_F32};
    const bptt_mat out = {.buf = w->sums, .at = 1, .rows = 1, .cols = 1, .ld = 1, .type = BPTT_F64};
    w->step = (bptt_op){.opcode = BPTT_SUMSQ, .arg = {x, out}};
    w->plan = (bptt_plan){.op = &w->step, .ops = 1, .room = 1, .input = {x}, .output = out};
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
    const bptt_op fill = {.opcode = BPTT_FILL, .arg = {w.plan.input[0]}, .value = 2};
    bptt_error e = {0};
    float x[15];
    toy_of(w.d)->until = 1;
    w.b.op[BPTT_FILL](w.d, &fill, &(bptt_slots){0});
    w.b.op[BPTT_FILL](w.d, &fill, &(bptt_slots){0}); // does nothing: the first failed
    ck_assert_uint_eq(toy_of(w.d)->transfers, 1);
    ck_assert_int_eq(w.b.read(w.d, x, BPTT_F32, fill.arg[0], &e), BPTT_DEVICE);
    ck_assert_int_eq(e.code, BPTT_DEVICE);
    CK_OK(w.b.read(w.d, x, BPTT_F32, fill.arg[0], NULL));
    for (int i = 0; i < 15; i++) ck_assert(x[i] == 0);
    w.b.op[BPTT_FILL](w.d, &fill, &(bptt_slots){0});
    CK_OK(w.b.sync(w.d, NULL));
    CK_OK(w.b.read(w.d, x, BPTT_F32, fill.arg[0], NULL));
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
