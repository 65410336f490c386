// Programs built with an older or a newer bptt.h: structs that end earlier are neither read nor written behind their
// end, members that the library does not know must be 0, a size that was never set is refused in words.
#include "suite.h"
#include "trainers.h"

#include <stddef.h>

enum { BEYOND = 64 }; // bytes behind a caller's struct
static const int CANARIES[] = {0x00, 0xA5, 0xFF};
#define EACH_CANARY(c) for (size_t k_ = 0, c; k_ < 3 && (c = (size_t)CANARIES[k_], true); k_++)

// A caller's struct of `size` bytes: the first bytes of one of ours, or zeros behind it, and canaries.
static void *caller(const void *ours, size_t ours_size, size_t size, size_t canary)
{
    unsigned char *x = must_alloc(size + BEYOND, 1);
    memset(x, (int)canary, size + BEYOND);
    memset(x, 0, size);
    memcpy(x, ours, size < ours_size ? size : ours_size);
    memcpy(x, &size, sizeof size);
    return x;
}

static void canaries_live(const void *x, size_t size, size_t canary)
{
    for (size_t i = size; i < size + BEYOND; i++)
        CK_TRUE(((const unsigned char *)x)[i] == canary, "byte %zu behind a struct of %zu was written", i - size, size);
}

static bptt_model_config small(void)
{
    bptt_model_config c;
    bptt_model_defaults(&c);
    c.compute.backend = "ref", c.vocab = 9, c.hidden = 7, c.layers = 2, c.seed = 12, c.clip = 0.5;
    return c;
}

// Possible ends of a struct of an older bptt.h.
static const size_t MODEL_CUT[] = {offsetof(bptt_model_config, compute.threads),
                                   offsetof(bptt_model_config, compute.product), offsetof(bptt_model_config, output),
                                   offsetof(bptt_model_config, documents), sizeof(bptt_model_config)};
enum { MODEL_CUTS = sizeof MODEL_CUT / sizeof *MODEL_CUT };

// ---- configurations of models -------------------------------------------------------------------

static bool same_weights(bptt_model *a, bptt_model *b)
{
    double *x = net_part(a, BPTT_WEIGHTS), *y = net_part(b, BPTT_WEIGHTS);
    const size_t n = bptt_model_parameters(a);
    const bool same = n == bptt_model_parameters(b) && same_bits(x, y, n);
    free(x), free(y);
    return same;
}

START_TEST(an_older_caller_of_models_is_read_and_written_up_to_its_end)
{
    const bptt_model_config c = small();
    bptt_model *whole = NULL;
    CK_OK(bptt_model_open(&c, &whole, NULL));
    for (size_t i = 0; i < MODEL_CUTS; i++) EACH_CANARY(canary)
        {
            const size_t size = MODEL_CUT[i];
            bptt_model_config *old = caller(&c, sizeof c, size, canary), got;
            bptt_model *m = NULL;
            CK_OK(bptt_model_open(old, &m, NULL));
            canaries_live(old, size, canary);
            ck_assert(same_weights(m, whole));
            bptt_model_get_config(m, &got);
            ck_assert(got.size == sizeof got && got.compute.profile == 0 && got.compute.lowering == BPTT_LOWER_AUTO);
            memset(old, (int)canary, size);
            bptt_model_get_config_sized(m, old, size);
            canaries_live(old, size, canary);
            ck_assert(old->size == size && old->clip == 0.5 && strcmp(old->compute.backend, "ref") == 0);
            memset(old, (int)canary, size);
            bptt_model_defaults_sized(old, size);
            canaries_live(old, size, canary);
            ck_assert(old->size == size && old->hidden == 128 && old->clip == 5 && old->compute.backend == NULL);
            bptt_model_close(m);
            free(old);
        }
    bptt_model_close(whole);
}
END_TEST

START_TEST(a_newer_caller_of_models_is_taken_while_what_it_adds_is_zero)
{
    enum { MORE = 16, SIZE = sizeof(bptt_model_config) + MORE };
    bptt_model_config c = small(), *new = caller(&c, sizeof c, SIZE, 0xA5);
    bptt_model *m = NULL;
    unsigned char *last = (unsigned char *)new + SIZE - 1;
    CK_OK(bptt_model_open(new, &m, NULL));
    *last = 1;
    REFUSED(bptt_model_open(new, &m, e), BPTT_BAD_CONFIG, "newer bptt");
    REFUSED(bptt_model_load("/tmp/no such file", new, &m, e), BPTT_BAD_CONFIG, "newer bptt");
    bptt_model_get_config_sized(m, new, SIZE);
    ck_assert(new->size == SIZE &&*last == 0 && new->seed == 12);
    *last = 1;
    bptt_model_defaults_sized(new, SIZE);
    ck_assert(new->size == SIZE &&*last == 0 && new->seed == 1);
    canaries_live(new, SIZE, 0xA5);
    bptt_model_close(m);
    free(new);
}
END_TEST

START_TEST(a_size_that_was_never_set_is_refused_in_words)
{
    bptt_model_config c = small();
    bptt_model *m = NULL;
    c.size = 0;
    REFUSED(bptt_model_open(&c, &m, e), BPTT_BAD_CONFIG,
            "size is 0: call bptt_model_defaults, or set size to sizeof(bptt_model_config)");
    REFUSED(bptt_model_load("/tmp/no such file", &c, &m, e), BPTT_BAD_CONFIG, "size is 0");
    c.size = offsetof(bptt_model_config, clip); // shorter than any that there was
    REFUSED(bptt_model_open(&c, &m, e), BPTT_BAD_CONFIG, "bptt_model_defaults");
    c.size = SIZE_MAX; // no struct, but what was in memory
    REFUSED(bptt_model_open(&c, &m, e), BPTT_BAD_CONFIG, "bptt_model_defaults");
    c = small();
    CK_OK(bptt_model_open(&c, &m, NULL));
    bptt_run *r = NULL;
    bptt_run_config rc = {.batch = 1, .steps = 1};
    REFUSED(bptt_run_open(m, &rc, &r, e), BPTT_BAD_CONFIG,
            "size is 0: call bptt_run_defaults, or set size to sizeof(bptt_run_config)");
    rc.size = SIZE_MAX;
    REFUSED(bptt_run_open(m, &rc, &r, e), BPTT_BAD_CONFIG, "bptt_run_defaults");
    ck_assert_ptr_null(r);
    bptt_trainer *t = NULL;
    bptt_trainer_config tc, kept;
    bptt_trainer_defaults(&tc);
    tc.size = 0, kept = tc;
    REFUSED(bptt_trainer_open(&tc, "abc", 3, &t, e), BPTT_BAD_CONFIG, "size is 0: call bptt_trainer_defaults");
    REFUSED(bptt_trainer_resume("/tmp/no such file", &tc, "abc", 3, &t, e), BPTT_BAD_CONFIG, "size is 0");
    bptt_trainer_sizes_for_text(&tc, 5);
    ck_assert(tc.batch == kept.batch && tc.model.hidden == kept.model.hidden);
    tc.size = sizeof tc, tc.model.size = 0;
    REFUSED(bptt_trainer_open(&tc, "abc", 3, &t, e), BPTT_BAD_CONFIG, "model.size is 0: call bptt_trainer_defaults");
    tc.model.size = sizeof tc; // leaves no room for the rest
    REFUSED(bptt_trainer_open(&tc, "abc", 3, &t, e), BPTT_BAD_CONFIG, "bptt_trainer_defaults");
    ck_assert_ptr_null(t);
    bptt_model_close(m);
}
END_TEST

START_TEST(a_compute_with_members_of_a_newer_header_is_refused)
{
    double rate;
    bptt_model *m = NULL;
    for (size_t i = 0; i < sizeof((bptt_compute){0}.reserved) / sizeof(unsigned); i++) {
        bptt_model_config c = small();
        c.compute.reserved[i] = 1;
        REFUSED(bptt_model_open(&c, &m, e), BPTT_BAD_CONFIG, "install a newer bptt");
        REFUSED(bptt_gemm_rate(&c.compute, 0, &rate, e), BPTT_BAD_CONFIG, "install a newer bptt");
    }
    ck_assert_ptr_null(m);
}
END_TEST

// ---- runs and windows ---------------------------------------------------------------------------

START_TEST(runs_of_older_and_newer_callers_are_those_of_ours)
{
    const bptt_model_config c = small();
    bptt_model *m = NULL;
    CK_OK(bptt_model_open(&c, &m, NULL));
    bptt_run_config rc;
    bptt_run_defaults(&rc);
    ck_assert(rc.size == sizeof rc && rc.batch == 1 && rc.steps == 1 && !rc.gradient && !rc.keep);
    rc.batch = 2, rc.steps = 3;
    double state[2 * 2 * 7];
    for (size_t size = offsetof(bptt_run_config, gradient); size <= sizeof rc + 8; size += 4) EACH_CANARY(canary)
        {
            bptt_run *r = NULL;
            bptt_run_config *theirs = caller(&rc, sizeof rc, size, canary);
            CK_OK(bptt_run_open(m, theirs, &r, NULL));
            canaries_live(theirs, size, canary);
            CK_OK(bptt_run_read_state(r, state, BPTT_F64, NULL)); // 2 streams
            REFUSED(bptt_run_read(r, BPTT_STATES, state, BPTT_F64, e), BPTT_BAD_INPUT, "without gradient");
            bptt_run_close(r);
            bptt_run_defaults_sized(theirs, size);
            canaries_live(theirs, size, canary);
            ck_assert(theirs->size == size && theirs->batch == 1);
            if (size > sizeof rc) {
                ((unsigned char *)theirs)[sizeof rc] = 1;
                REFUSED(bptt_run_open(m, theirs, &r, e), BPTT_BAD_CONFIG, "newer bptt");
            }
            free(theirs);
        }
    bptt_model_close(m);
}
END_TEST

START_TEST(windows_of_older_and_newer_callers_are_those_of_ours)
{
    const bptt_model_config c = small();
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1, .keep = 1});
    bptt_report want, got;
    CK_OK(bptt_run_evaluate(n.r, &n.w, &want, NULL));
    float logp[4 * 3 * 9];
    for (size_t size = offsetof(bptt_window, weight); size <= sizeof n.w + 8; size += 8) EACH_CANARY(canary)
        {
            bptt_window *theirs = caller(&n.w, sizeof n.w, size, canary);
            CK_OK(bptt_run_reset(n.r, NULL));
            CK_OK(bptt_run_evaluate(n.r, theirs, &got, NULL));
            ck_assert(got.loss == want.loss && got.weight == want.weight);
            canaries_live(theirs, size, canary);
            if (size > sizeof n.w) ((unsigned char *)theirs)[size - 1] = 1;
            const char *why = "newer bptt";
            for (int zero = size <= sizeof n.w; zero < 2; zero++) {
                if (zero) theirs->size = 0, why = "size is 0: set size to sizeof(bptt_window)";
                REFUSED(bptt_run_evaluate(n.r, theirs, NULL, e), BPTT_BAD_INPUT, why);
                REFUSED(bptt_run_gradient(n.r, theirs, NULL, e), BPTT_BAD_INPUT, why);
                REFUSED(bptt_run_train(n.r, theirs, 0.1, NULL, e), BPTT_BAD_INPUT, why);
                REFUSED(bptt_run_submit(n.r, theirs, 0.1, e), BPTT_BAD_INPUT, why);
                REFUSED(bptt_run_predict(n.r, theirs, logp, e), BPTT_BAD_INPUT, why);
            }
            free(theirs);
        }
    net_close(&n);
}
END_TEST

// ---- trainers -----------------------------------------------------------------------------------

enum { MODEL_AT = offsetof(bptt_trainer_config, model), REST_AT = MODEL_AT + sizeof(bptt_model_config) };

// A caller's configuration whose nested one has `model` bytes, and whose own has `rest` bytes after that.
static void *trainer_caller(const bptt_trainer_config *c, size_t model, size_t rest, size_t canary)
{
    const size_t size = MODEL_AT + model + rest;
    unsigned char *x = caller(c, MODEL_AT, size, canary), *nested = caller(&c->model, sizeof c->model, model, 0);
    unsigned char *own = caller((const char *)c + REST_AT, sizeof *c - REST_AT, rest, 0);
    memcpy(x + MODEL_AT, nested, model);
    memcpy(x + MODEL_AT + model, own, rest);
    memcpy(x + MODEL_AT + model, (const char *)c + REST_AT, sizeof(size_t)); // the size that caller() stored
    free(nested), free(own);
    return x;
}

// The members behind the nested configuration, where an older or newer caller has them.
static size_t batch_of(const unsigned char *x, size_t model)
{
    size_t B;
    memcpy(&B, x + MODEL_AT + model + offsetof(bptt_trainer_config, batch) - REST_AT, sizeof B);
    return B;
}

START_TEST(trainers_of_older_and_newer_callers_are_those_of_ours)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model = small(), c.batch = 3, c.steps = 5, c.rate = 0.02;
    const size_t own[] = {offsetof(bptt_trainer_config, valid) - REST_AT,
                          offsetof(bptt_trainer_config, burn_in) - REST_AT, sizeof c - REST_AT,
                          sizeof c - REST_AT + 16};
    enum { OWN = sizeof own / sizeof own[0] };
    bptt_trainer *whole = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &whole, NULL));
    CK_OK(bptt_trainer_step(whole, NULL, NULL));
    bptt_trainer_config suited = c;
    bptt_trainer_sizes_for_text(&suited, 100);
    ck_assert(suited.batch != c.batch && suited.size == sizeof c && suited.model.size == sizeof c.model);
    for (size_t i = 0; i < OWN * (MODEL_CUTS + 1); i++) EACH_CANARY(canary)
        {
            const size_t model = i / OWN < MODEL_CUTS ? MODEL_CUT[i / OWN] : sizeof c.model + 24, rest = own[i % OWN];
            const size_t size = MODEL_AT + model + rest;
            bptt_trainer *t = NULL;
            unsigned char *x = trainer_caller(&c, model, rest, canary);
            bptt_trainer_config *theirs = (void *)x;
            CK_OK(bptt_trainer_open(theirs, text, 100, &t, NULL));
            CK_OK(bptt_trainer_step(t, NULL, NULL));
            CK_TRUE(same_files(saved(whole), saved(t)), "a nested %zu, %zu after it: other bytes", model, rest);
            memset(x, (int)canary, size);
            bptt_trainer_get_config_sized(t, theirs, size, model);
            canaries_live(x, size, canary);
            ck_assert(theirs->size == size && theirs->model.size == model && batch_of(x, model) == 3);
            bptt_trainer_sizes_for_text(theirs, 100);
            canaries_live(x, size, canary);
            ck_assert(theirs->size == size && theirs->model.size == model && batch_of(x, model) == suited.batch);
            ck_assert(theirs->model.hidden == suited.model.hidden);
            bptt_trainer_defaults_sized(theirs, size, model);
            canaries_live(x, size, canary);
            ck_assert(theirs->size == size && theirs->model.size == model && batch_of(x, model) == 32);
            bptt_trainer *none = NULL;
            if (rest > sizeof c - REST_AT) {
                x[size - 1] = 1;
                REFUSED(bptt_trainer_open(theirs, text, 100, &none, e), BPTT_BAD_CONFIG, "newer bptt");
                x[size - 1] = 0;
            }
            if (model > sizeof c.model) {
                x[MODEL_AT + model - 1] = 1;
                REFUSED(bptt_trainer_open(theirs, text, 100, &none, e), BPTT_BAD_CONFIG, "newer bptt");
                REFUSED(bptt_trainer_resume("/tmp/none", theirs, text, 100, &none, e), BPTT_BAD_CONFIG, "newer bptt");
            }
            bptt_trainer_close(t);
            free(x);
        }
    bptt_trainer_close(whole);
    free(text);
}
END_TEST

START_TEST(an_older_nested_configuration_resumes)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model = small(), c.batch = 3, c.steps = 5;
    bptt_trainer *t = NULL, *again = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    char path[32];
    temporary(path);
    CK_OK(bptt_trainer_save(t, path, NULL));
    c.iterations = 777;
    unsigned char *x = trainer_caller(&c, MODEL_CUT[0], sizeof c - REST_AT, 0xA5);
    CK_OK(bptt_trainer_resume(path, (void *)x, text, 100, &again, NULL));
    bptt_trainer_info info;
    bptt_trainer_get_info(again, &info);
    ck_assert_uint_eq(info.iterations, 777);
    unlink(path);
    bptt_trainer_close(t), bptt_trainer_close(again);
    free(x), free(text);
}
END_TEST

// ---- output structs -----------------------------------------------------------------------------

// x of `size` bytes and canaries behind them begins as `whole` does, and goes on with zeros.
static void begins_as(const void *x, size_t size, const void *whole, size_t whole_size, size_t canary)
{
    const unsigned char *byte = x;
    ck_assert(memcmp(x, whole, size < whole_size ? size : whole_size) == 0);
    for (size_t i = whole_size; i < size; i++) ck_assert(byte[i] == 0);
    canaries_live(x, size, canary);
}

START_TEST(infos_are_written_up_to_the_end_of_the_callers)
{
    unsigned char *text = text_of(100, 9, 3), x[sizeof(bptt_device_info) + 8 + BEYOND];
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model = small(), c.batch = 3, c.steps = 5;
    bptt_trainer *t = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    bptt_trainer_info info;
    bptt_device_info chosen, first;
    bptt_trainer_get_info(t, &info);
    bptt_model_device(bptt_trainer_model(t), &chosen);
    CK_OK(bptt_device_describe(0, &first, NULL));
    EACH_CANARY(canary)
    {
        for (size_t size = 8; size <= sizeof info + 8; size += 8) {
            memset(x, (int)canary, sizeof x);
            bptt_trainer_get_info_sized(t, (void *)x, size);
            begins_as(x, size, &info, sizeof info, canary);
        }
        for (size_t size = 16; size <= sizeof chosen + 8; size += 8) {
            memset(x, (int)canary, sizeof x);
            bptt_model_device_sized(bptt_trainer_model(t), (void *)x, size);
            begins_as(x, size, &chosen, sizeof chosen, canary);
        }
        for (size_t size = sizeof first - 8; size <= sizeof first + 8; size += 8) {
            memset(x, (int)canary, sizeof x);
            CK_OK(bptt_device_describe_sized(0, (void *)x, size, NULL));
            begins_as(x, size, &first, sizeof first, canary);
        }
    }
    bptt_trainer_close(t);
    free(text);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, an_older_caller_of_models_is_read_and_written_up_to_its_end);
    tcase_add_test(c, a_newer_caller_of_models_is_taken_while_what_it_adds_is_zero);
    tcase_add_test(c, a_size_that_was_never_set_is_refused_in_words);
    tcase_add_test(c, a_compute_with_members_of_a_newer_header_is_refused);
    tcase_add_test(c, runs_of_older_and_newer_callers_are_those_of_ours);
    tcase_add_test(c, windows_of_older_and_newer_callers_are_those_of_ours);
    tcase_add_test(c, trainers_of_older_and_newer_callers_are_those_of_ours);
    tcase_add_test(c, an_older_nested_configuration_resumes);
    tcase_add_test(c, infos_are_written_up_to_the_end_of_the_callers);
}

int main(void) { return run_suite("abi", add, 60); }
