// Precisions and the loss scale on the host: a gradient overflow in fp16 is reported, changes only the scale and does
// not stop training; scale and precision are saved in the file and restored. On a module that says it
// is cuda and computes with `ref` (fake_module.c).
#include "model.h"
#include "run.h"
#include "suite.h"
#include "trainers.h"

enum { B = 7, T = 5, H = 33, L = 2 };

static void open_net(net *n, bptt_precision p, int optimizer)
{
    bptt_model_config c = net_config("cuda", BPTT_F32, 9, H, L);
    c.compute.backend = "cuda", c.compute.device = NULL, c.compute.lowering = BPTT_LOWER_AUTO;
    c.compute.precision = p, c.optimizer = (bptt_optimizer)optimizer, c.momentum = 0.5;
    net_open(n, &c, &(bptt_run_config){.batch = B, .steps = T, .gradient = 1});
}

static double scale_of(bptt_model *m, double *count)
{
    double scale[2] = {-1, -1};
    CK_OK(model_read_scale(m, scale, NULL));
    if (count) *count = scale[1];
    return scale[0];
}

START_TEST(only_fp16_has_a_loss_scale_and_it_is_counted_as_memory)
{
    size_t bytes[4];
    for (int p = BPTT_PRECISION_FP32; p <= BPTT_PRECISION_FP16; p++) {
        net n;
        double count = -1;
        bptt_model_config got;
        open_net(&n, (bptt_precision)p, BPTT_ADAM);
        bptt_model_get_config(n.m, &got);
        ck_assert_int_eq(got.compute.precision, p);
        CK_OK(model_size(&n.m->device->backend, &n.c, &bytes[p], NULL));
        const bool scaled = p == BPTT_PRECISION_FP16;
        ck_assert((n.m->scale.buf != NULL) == scaled);
        for (work w = EVALUATE; w < WORKS; w++)
            ck_assert((n.r->plan[w].scale.buf != NULL) == (scaled && (w == GRADIENT || w == TRAIN)));
        if (scaled) ck_assert(scale_of(n.m, &count) == 65536 && count == 0);
        net_close(&n);
    }
    ck_assert(bytes[0] == bytes[1] && bytes[0] == bytes[2] && bytes[3] > bytes[0]);
}
END_TEST

// The fake overflows where the scale times the norm is above 1000: so the first windows are skipped, then training goes
// on as in a model that never saw them, but for the count of updates.
START_TEST(a_window_that_overflows_is_skipped_and_training_goes_on)
{
    for (int o = BPTT_SGD; o <= BPTT_ADAM; o++) {
        net n, fp32;
        double scale = 65536, count = 0;
        size_t skipped = 0;
        open_net(&n, BPTT_PRECISION_FP16, o), open_net(&fp32, BPTT_PRECISION_FP32, o);
        for (uint64_t k = 0; k < 20; k++) {
            bptt_report r = {.skipped = 7}, want;
            CK_OK(bptt_run_evaluate(fp32.r, &fp32.w, &want, NULL));
            CK_OK(bptt_run_reset(fp32.r, NULL));
            CK_OK(bptt_run_reset(n.r, NULL));
            snapshot before = snapshot_of(n.m);
            CK_OK(bptt_run_train(n.r, &n.w, 0.001, &r, NULL));
            ck_assert_uint_eq(bptt_model_updates(n.m), k + 1);
            ck_assert(r.loss == want.loss && r.weight == B * T);
            if (r.skipped) {
                ck_assert(r.skipped == 1 && isinf(r.grad_norm) && skipped == k);
                skipped++, scale /= 2, before.updates++;
                ck_assert(snapshot_holds(&before, n.m, false));
            } else {
                for (int p = 0; p < 4; p++) free(before.part[p]);
                CK_OK(bptt_run_gradient(fp32.r, &fp32.w, &want, NULL));
                CK_OK(bptt_run_reset(fp32.r, NULL));
                fp32.m->updates = k; // Adam's corrections go by it
                CK_OK(bptt_run_train(fp32.r, &fp32.w, 0.001, NULL, NULL));
                ck_assert(r.grad_norm == want.grad_norm && scale * r.grad_norm <= 1000);
                CK_OK(bptt_run_reset(fp32.r, NULL));
            }
            ck_assert(scale_of(n.m, &count) == scale && count == (double)(k + 1 - skipped));
        }
        CK_TRUE(skipped >= 3 && skipped < 15, "%zu skipped", skipped);
        snapshot s = snapshot_of(fp32.m);
        ck_assert(snapshot_holds(&s, n.m, false));
        net_close(&n), net_close(&fp32);
    }
}
END_TEST

START_TEST(windows_ahead_of_one_that_is_skipped_are_not_refused)
{
    enum { WINDOWS = 12 };
    net step, ahead;
    bptt_report want[WINDOWS], got[WINDOWS];
    open_net(&step, BPTT_PRECISION_FP16, BPTT_ADAM), open_net(&ahead, BPTT_PRECISION_FP16, BPTT_ADAM);
    for (size_t k = 0; k < WINDOWS; k++) {
        net_random_window(&step, 100 + k), net_random_window(&ahead, 100 + k);
        CK_OK(bptt_run_train(step.r, &step.w, 0.01, &want[k], NULL));
        CK_OK(bptt_run_submit(ahead.r, &ahead.w, 0.01, NULL));
        if (k > 0) CK_OK(bptt_run_collect(ahead.r, &got[k - 1], NULL));
    }
    CK_OK(bptt_run_collect(ahead.r, &got[WINDOWS - 1], NULL));
    size_t skipped = 0;
    while (skipped < WINDOWS && want[skipped].skipped) skipped++;
    CK_TRUE(skipped >= 2 && skipped < WINDOWS, "%zu skipped", skipped);
    for (size_t k = 0; k < WINDOWS; k++)
        ck_assert(want[k].loss == got[k].loss && want[k].grad_norm == got[k].grad_norm &&
                  want[k].skipped == got[k].skipped);
    snapshot s = snapshot_of(step.m);
    ck_assert(snapshot_holds(&s, ahead.m, true));
    ck_assert(scale_of(step.m, NULL) == scale_of(ahead.m, NULL));
    net_close(&step), net_close(&ahead);
}
END_TEST

START_TEST(what_is_not_finite_in_fp16_otherwise_says_what_may_help)
{
    net n;
    bptt_error e = {0};
    bptt_report r = {.loss = 7};
    double count = 5;
    open_net(&n, BPTT_PRECISION_FP16, BPTT_ADAM);
    CK_OK(bptt_run_train(n.r, &n.w, 0.01, &r, NULL));
    ck_assert(r.skipped); // which stays in the device's numbers, and is no business of these:
    ck_assert_int_eq(bptt_run_gradient(n.r, &n.w, &r, &e), BPTT_NOT_FINITE);
    CK_TRUE(strstr(e.words, "the gradient is not finite") && strstr(e.words, "bf16"), "%s", e.words);
    CK_OK(bptt_run_evaluate(n.r, &n.w, &r, NULL));
    ck_assert(!r.skipped && r.grad_norm == 0);
    CK_OK(model_write_scale(n.m, (const double[]){1, 3}, NULL));
    CK_OK(bptt_run_gradient(n.r, &n.w, &r, NULL));
    ck_assert(!r.skipped && r.grad_norm > 0 && isfinite(r.grad_norm));
    bptt_model_write(n.m, BPTT_WEIGHTS, 0, &(float[9 * H]){[3] = NAN}, BPTT_F32, NULL);
    n.token[0] = 3;
    ck_assert_int_eq(bptt_run_train(n.r, &n.w, 0.01, &r, &e), BPTT_NOT_FINITE);
    CK_TRUE(strstr(e.words, "the loss is not finite") != NULL, "%s", e.words);
    ck_assert(scale_of(n.m, &count) == 1 && count == 3);
    net_close(&n);
    open_net(&n, BPTT_PRECISION_FP16, BPTT_ADAM);
    CK_OK(bptt_run_train(n.r, &n.w, 0.01, &r, NULL));
    ck_assert(r.skipped);
    CK_OK(model_write_scale(n.m, (const double[]){1, 3}, NULL));
    float *big = must_alloc(9 * H, sizeof *big); // states of 1, logits far apart: a gradient of 40 and more
    for (size_t i = 0; i < 9 * H; i++) big[i] = i < 4 * H ? 1000.0f : -1000.0f;
    CK_OK(bptt_model_write(n.m, BPTT_WEIGHTS, bptt_model_tensors(n.m) - 2, big, BPTT_F32, NULL));
    CK_OK(bptt_run_evaluate(n.r, &n.w, &r, NULL));
    CK_OK(bptt_run_reset(n.r, NULL));
    ck_assert_int_eq(bptt_run_train(n.r, &n.w, 0.01, &r, &e), BPTT_NOT_FINITE); // the scale cannot be lowered any more
    CK_TRUE(strstr(e.words, "the gradient is not finite") && strstr(e.words, "bf16"), "%s", e.words);
    ck_assert_uint_eq(bptt_model_updates(n.m), 1); // that which was skipped
    free(big);
    net_close(&n);
}
END_TEST

// The marks of a skipped window must not make windows that are refused after a NaN look skipped.
START_TEST(windows_refused_after_one_that_was_skipped_are_refused)
{
    net n;
    bptt_error e = {0};
    bptt_report r = {.loss = 7};
    bptt_model_config c = net_config("cuda", BPTT_F32, 9, H, L);
    c.compute.backend = "cuda", c.compute.device = NULL, c.compute.lowering = BPTT_LOWER_AUTO;
    c.compute.precision = BPTT_PRECISION_FP16, c.input = 2;
    net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = T, .gradient = 1});
    CK_OK(bptt_run_train(n.r, &n.w, 0.01, &r, NULL));
    ck_assert(r.skipped);
    r = (bptt_report){.loss = 7};
    const double kept = n.dense[3], halved = scale_of(n.m, NULL);
    n.dense[3] = (double)NAN;
    CK_OK(bptt_run_submit(n.r, &n.w, 0.01, NULL));
    n.dense[3] = kept;
    CK_OK(bptt_run_reset(n.r, NULL));
    CK_OK(bptt_run_submit(n.r, &n.w, 0.01, NULL));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(bptt_run_collect(n.r, &r, &e), BPTT_NOT_FINITE);
        ck_assert(r.loss == 7 && bptt_model_updates(n.m) == 2 - (uint64_t)i);
    }
    ck_assert(scale_of(n.m, NULL) == halved);
    CK_OK(bptt_run_reset(n.r, NULL));
    CK_OK(bptt_run_train(n.r, &n.w, 0.01, &r, NULL));
    ck_assert(r.skipped && scale_of(n.m, NULL) == halved / 2);
    net_close(&n);
}
END_TEST

// ---- in a trainer's file ------------------------------------------------------------------------------------------

static bptt_trainer_config fp16_config(void)
{
    bptt_trainer_config c = config_of("cuda", BPTT_F32);
    c.model.compute.backend = "cuda", c.model.compute.device = NULL, c.model.compute.lowering = BPTT_LOWER_AUTO;
    c.model.compute.precision = BPTT_PRECISION_FP16;
    return c;
}

static void go(bptt_trainer *t, int steps, int *skipped)
{
    for (int k = 0; k < steps; k++) {
        bptt_report r;
        CK_OK(bptt_trainer_step(t, &r, NULL));
        *skipped += r.skipped;
    }
}

START_TEST(a_run_in_fp16_goes_on_from_its_file_byte_for_byte)
{
    enum { STEPS = 12 };
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer_config c = fp16_config(), again;
    bptt_trainer *whole = NULL;
    int all = 0;
    CK_OK(bptt_trainer_open(&c, text, 100, &whole, NULL));
    go(whole, STEPS, &all);
    ck_assert(all >= 3 && all < STEPS);
    for (int cut = 0; cut <= STEPS; cut++) {
        char path[32];
        bptt_trainer *t = NULL;
        int skipped = 0;
        temporary(path);
        CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
        go(t, cut, &skipped);
        CK_OK(bptt_trainer_save(t, path, NULL));
        bptt_trainer_close(t), t = NULL;
        bptt_trainer_defaults(&again); // the precision of which is not asked for
        again.model.compute.backend = "cuda", again.iterations = 0, again.epochs = 0;
        CK_OK(bptt_trainer_resume(path, &again, text, 100, &t, NULL));
        unlink(path);
        bptt_trainer_get_config(t, &again);
        ck_assert_int_eq(again.model.compute.precision, BPTT_PRECISION_FP16);
        go(t, STEPS - cut, &skipped);
        ck_assert_int_eq(skipped, all);
        CK_TRUE(same_files(saved(whole), saved(t)), "cut at %d: other bytes", cut);
        bptt_trainer_close(t);
    }
    bptt_trainer_close(whole);
    free(text);
}
END_TEST

static bool mentions(file f, const char *words)
{
    const size_t n = strlen(words);
    for (size_t i = 0; i + n <= f.n; i++)
        if (memcmp(f.bytes + i, words, n) == 0) return true;
    return false;
}

START_TEST(another_precision_is_taken_where_it_is_asked_for)
{
    unsigned char *text = text_of(100, 9, 3);
    char path[32];
    temporary(path);
    bptt_trainer_config c = fp16_config(), got;
    bptt_trainer *t = NULL;
    bptt_error e = {0};
    int skipped = 0;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    go(t, 6, &skipped);
    CK_OK(bptt_trainer_save(t, path, NULL));
    bptt_trainer_close(t), t = NULL;
    c.model.compute.backend = "cpu";
    for (int i = 0; i < 2; i++) { // whether it is what c says or not, it is not asked for
        c.model.compute.precision = i ? BPTT_PRECISION_FP16 : BPTT_PRECISION_FP32;
        ck_assert_int_eq(bptt_trainer_resume(path, &c, text, 100, &t, &e), BPTT_NO_BACKEND);
        CK_TRUE(!t && strstr(e.words, "cpu has no precision fp16") && strstr(e.words, "`precision` fp32 continues it"),
                "%s", e.words);
    }
    const bptt_precision other[] = {BPTT_PRECISION_FP32, BPTT_PRECISION_BF16, BPTT_PRECISION_FP16};
    static const char *const name[] = {"\"train.precision\":\"fp32\"", "\"train.precision\":\"bf16\"",
                                       "\"train.loss_scale\":\""};
    for (int i = 0; i < 3; i++) {
        c.model.compute.precision = other[i], c.change_precision = 1, c.model.compute.backend = i ? "cuda" : "cpu";
        CK_TRUE(bptt_trainer_resume(path, &c, text, 100, &t, &e) == BPTT_OK, "%s", e.words);
        bptt_trainer_get_config(t, &got);
        ck_assert_int_eq(got.model.compute.precision, other[i]);
        CK_OK(bptt_trainer_step(t, NULL, NULL));
        const file f = saved(t);
        ck_assert(mentions(f, name[i]));
        ck_assert(mentions(f, "train.good_windows") == (i == 2));
        free(f.bytes);
        if (i < 2) CK_OK(bptt_trainer_save(t, path, NULL));
        if (i == 2) ck_assert(scale_of(bptt_trainer_model(t), NULL) == 32768); // from bf16: a scale from the start
        bptt_trainer_close(t), t = NULL;
    }
    bptt_model *m = NULL; // and a model that is only loaded is float
    c.model.compute.backend = "cpu";
    CK_OK(bptt_model_load(path, NULL, &m, NULL));
    bptt_model_close(m);
    c.model.compute.precision = BPTT_PRECISION_BF16;
    ck_assert_int_eq(bptt_model_load(path, &c.model, &m, NULL), BPTT_NO_BACKEND);
    c.model.compute.precision = (bptt_precision)4;
    ck_assert_int_eq(bptt_model_load(path, &c.model, &m, NULL), BPTT_BAD_CONFIG);
    unlink(path);
    free(text);
}
END_TEST

// Takes the member `key` of the file's metadata to another value of the same length; the checksums are taken away, as
// another writer has none.
static file with(file f, const char *key, const char *value)
{
    file g = {must_alloc(f.n + 1, 1), f.n};
    memcpy(g.bytes, f.bytes, f.n);
    for (size_t i = 0; i + 9 < g.n; i++)
        if (memcmp(g.bytes + i, "\"crc32c", 7) == 0) memcpy(g.bytes + i, "\"xyz32c", 7);
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":\"", key);
    for (size_t i = 0, n = strlen(quoted); i + n < g.n; i++)
        if (memcmp(g.bytes + i, quoted, n) == 0) {
            memcpy(g.bytes + i + n, value, strlen(value));
            ck_assert_int_eq(g.bytes[i + n + strlen(value)], '"');
            return g;
        }
    ck_abort_msg("no %s in the file", key);
}

START_TEST(what_no_run_can_have_written_is_refused)
{
    static const struct {
        const char *key, *value, *says; // says NULL: it is taken
    } row[] = {
        {"train.loss_scale", "4096.000", NULL},
        {"train.loss_scale", "16777217", "loss scale"},
        {"train.loss_scale", "33554432", "loss scale"},
        {"train.loss_scale", "1.000000", NULL},
        {"train.loss_scale", "0.500000", "loss scale"},
        {"train.loss_scale", "-512.000", "loss scale"},
        {"train.loss_scale", "nannanna", "loss_scale"},
        {"train.loss_scale", "30000000", "loss scale"},
        {"train.loss_scale", "0.000000", "loss scale"},
        {"train.good_windows", "1999", NULL},
        {"train.good_windows", "2000", "loss scale"},
        {"train.good_windows", "-100", "good_windows"},
        {"train.precision", "fp8x", "precision \"fp8x\" is unknown"},
        {"train.precision", "fp32", NULL},
    };
    unsigned char *text = text_of(100, 9, 3);
    char path[32];
    temporary(path);
    bptt_trainer_config c = fp16_config();
    bptt_trainer *t = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    CK_OK(model_write_scale(bptt_trainer_model(t), (const double[]){0x1p24, 1234}, NULL));
    const file f = saved(t);
    bptt_trainer_close(t), t = NULL;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        bptt_error e = {0};
        const file g = with(f, row[i].key, row[i].value);
        FILE *out = fopen(path, "wb");
        ck_assert_uint_eq(fwrite(g.bytes, 1, g.n, out), g.n);
        fclose(out), free(g.bytes);
        const bptt_status s = bptt_trainer_resume(path, &c, text, 100, &t, &e);
        CK_TRUE(s == (row[i].says ? BPTT_BAD_FILE : BPTT_OK), "%s %s: %d %s", row[i].key, row[i].value, (int)s,
                e.words);
        CK_TRUE(!row[i].says || strstr(e.words, row[i].says), "%s %s: %s", row[i].key, row[i].value, e.words);
        bptt_trainer_close(t), t = NULL;
    }
    unlink(path);
    free(f.bytes), free(text);
}
END_TEST

START_TEST(a_backend_may_wish_for_the_size_of_a_decoder_block)
{
    net n, ref; // 175 rows of 9; the fake wishes for 2000 logits, so for blocks of 222 rows at most, ref for 2^18
    bptt_model_config c = net_config("cuda", BPTT_F32, 20, 7, 1);
    const bptt_run_config rc = {.size = sizeof(bptt_run_config), .batch = 35, .steps = 5, .gradient = 1};
    double *g[2];
    c.compute.backend = "cuda", c.compute.device = NULL, c.compute.lowering = BPTT_LOWER_AUTO;
    net_open(&n, &c, &rc);
    c.compute.backend = "ref";
    net_open(&ref, &c, &rc);
    ck_assert_uint_eq(n.r->R, 88); // two blocks of at most 100 rows
    ck_assert_uint_eq(ref.r->R, 175);
    size_t bytes[2], host;
    CK_OK(run_size(&n.m->device->backend, &n.c, &rc, &bytes[0], &host, NULL));
    CK_OK(run_size(&ref.m->device->backend, &ref.c, &rc, &bytes[1], &host, NULL));
    ck_assert(bytes[0] < bytes[1]);
    for (int i = 0; i < 2; i++) {
        CK_OK(bptt_run_gradient(i ? n.r : ref.r, &n.w, NULL, NULL));
        g[i] = net_part(i ? n.m : ref.m, BPTT_GRADIENT);
    }
    for (size_t i = 0; i < bptt_model_parameters(n.m); i++) CK_TRUE(fabs(g[0][i] - g[1][i]) < 1e-6, "element %zu", i);
    free(g[0]), free(g[1]);
    net_close(&n), net_close(&ref);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, only_fp16_has_a_loss_scale_and_it_is_counted_as_memory);
    tcase_add_test(c, a_window_that_overflows_is_skipped_and_training_goes_on);
    tcase_add_test(c, windows_ahead_of_one_that_is_skipped_are_not_refused);
    tcase_add_test(c, what_is_not_finite_in_fp16_otherwise_says_what_may_help);
    tcase_add_test(c, windows_refused_after_one_that_was_skipped_are_refused);
    tcase_add_test(c, a_run_in_fp16_goes_on_from_its_file_byte_for_byte);
    tcase_add_test(c, another_precision_is_taken_where_it_is_asked_for);
    tcase_add_test(c, what_no_run_can_have_written_is_refused);
    tcase_add_test(c, a_backend_may_wish_for_the_size_of_a_decoder_block);
}

int main(void)
{
    setenv("BPTT_MODULES", FAKES, 1);
    return run_suite("precision", add, 60);
}
