// Graphs of the CUDA module, on the stand-ins for CUDA: a capture that fails leaves a device that computes launch by
// launch and says why, unless the context is lost or graphs were demanded; a device makes streams and workspaces of
// cuBLAS only for plans that use them. Not for GPUs.
#include "cu_api.h"
#include "modules.h"
#include "nets.h"
#include "run.h"
#include "suite.h"

// Settings of the stand-ins, which they read while nothing is open. NULL: none. They count calls from the beginning
// again when the text has changed, so each text has a number, of a call that is never reached.
static void settings(const char *fail, const char *memory)
{
    static int number = 1000000;
    char full[128];
    snprintf(full, sizeof full, "%s,Init:%d:1", fail ? fail : "", ++number);
    ck_assert_int_eq(setenv("STANDIN_FAIL", fail ? full : full + 1, 1), 0);
    ck_assert_int_eq(memory ? setenv("STANDIN_MEMORY", memory, 1) : unsetenv("STANDIN_MEMORY"), 0);
}

static bptt_model_config config(bptt_lowering how, size_t L)
{
    bptt_model_config c = net_config("cuda", BPTT_F32, 11, 9, L);
    c.compute.backend = "cuda", c.compute.lowering = how, c.cell = BPTT_LSTM;
    return c;
}

// Three windows of training; then the weights, and the device's description.
static bptt_status train(bptt_lowering how, double **weights, char *words, size_t room, bptt_error *e)
{
    enum { B = 3, T = 9 };
    const bptt_model_config c = config(how, 2);
    int32_t token[T * B];
    uint64_t random = 5;
    random_tokens(&random, c.vocab, token, (size_t)T * B);
    const bptt_window w = {.size = sizeof(bptt_window), .token = token, .target = token};
    bptt_model *m = NULL;
    bptt_run *r = NULL;
    bptt_status s = bptt_model_open(&c, &m, e);
    const bptt_run_config rc = {.size = sizeof(bptt_run_config), .batch = B, .steps = T, .gradient = 1};
    if (!s) s = bptt_run_open(m, &rc, &r, e);
    for (int k = 0; !s && k < 3; k++) s = bptt_run_train(r, &w, 0.1, NULL, e);
    *weights = s ? NULL : net_part(m, BPTT_WEIGHTS);
    if (!s) snprintf(words, room, "%s", m->device->backend.describe(m->device));
    bptt_run_close(r);
    bptt_model_close(m);
    return s;
}

START_TEST(a_capture_that_fails_is_told_and_does_without)
{
    static const struct {
        const char *fail, *words;
    } CASE[] = {
        {"StreamBeginCapture:0:900",
         "no graph: Stand-in 0: cuStreamBeginCapture failed: CUDA_ERROR_STREAM_CAPTURE_UNS"},
        {"StreamEndCapture:0:901", "cuStreamEndCapture failed for a plan: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"},
        {"StreamWaitEvent:4:904", "cuStreamWaitEvent failed: CUDA_ERROR_STREAM_CAPTURE_UNJOINED"},
        {"GraphInstantiate:0:2", "cuGraphInstantiate failed for a plan: CUDA_ERROR_OUT_OF_MEMORY"},
        {"GraphUpload:2:999", "cuGraphUpload failed for a plan"},
        {"EventRecord:3:401", "cuEventRecord failed"},
        {NULL, NULL},
    };
    double *want = NULL, *got = NULL;
    char words[700];
    settings(NULL, NULL);
    CK_OK(train(BPTT_LOWER_NEVER, &want, words, sizeof words, NULL));
    for (size_t i = 0; i < sizeof CASE / sizeof CASE[0]; i++) {
        bptt_error e = {0};
        settings(CASE[i].fail, NULL);
        const bptt_status s = train(BPTT_LOWER_AUTO, &got, words, sizeof words, &e);
        CK_TRUE(s == BPTT_OK, "%s: %s", CASE[i].fail, e.words);
        ck_assert(memcmp(got, want, 100 * sizeof *got) == 0);
        free(got);
        CK_TRUE(CASE[i].words ? strstr(words, CASE[i].words) != NULL : !strstr(words, "no graph"), "%s: %s",
                CASE[i].fail, words);
        CK_TRUE(!strstr(words, "start again"), "%s", words);
        if (!CASE[i].fail) continue;
        settings(CASE[i].fail, NULL);
        CK_TRUE(train(BPTT_LOWER_ALWAYS, &got, words, sizeof words, &e) != BPTT_OK, "%s: a graph was demanded",
                CASE[i].fail);
    }
    free(want);
    settings(NULL, NULL);
}
END_TEST

START_TEST(a_context_that_is_lost_in_a_capture_stays_lost)
{
    static const char *const FAIL[] = {"StreamEndCapture:1:719", "GraphInstantiate:1:700", "GraphUpload:1:719"};
    for (size_t i = 0; i < 3; i++) {
        double *got = NULL;
        char words[700];
        bptt_error e = {0};
        settings(FAIL[i], NULL);
        ck_assert_int_eq(train(BPTT_LOWER_AUTO, &got, words, sizeof words, &e), BPTT_DEVICE);
        CK_TRUE(strstr(e.words, "start again"), "%s", e.words);
    }
    settings(NULL, NULL);
}
END_TEST

// Two workspaces of 32 MiB fit, three do not: evaluation of one layer multiplies on two streams, training on four.
START_TEST(workspaces_are_for_streams_that_multiply)
{
    bptt_run_config rc = {.size = sizeof(bptt_run_config), .batch = 2, .steps = 4};
    for (int gradient = 0; gradient < 2; gradient++) {
        bptt_model_config c = config(BPTT_LOWER_ALWAYS, 1);
        bptt_model *m = NULL;
        bptt_run *r = NULL;
        bptt_error e = {0};
        settings("Create:2:1", "80000000");
        CK_TRUE(bptt_model_open(&c, &m, &e) == BPTT_OK, "%s", e.words);
        rc.gradient = gradient;
        const bptt_status s = bptt_run_open(m, &rc, &r, &e);
        CK_TRUE(s == (gradient ? BPTT_NO_MEMORY : BPTT_OK), "%d: %s", (int)s, e.words);
        CK_TRUE(!gradient || strstr(e.words, "33.6 MB was asked for"), "%s", e.words);
        bptt_run_close(r);
        rc.gradient = 0; // the device still works
        r = NULL;
        CK_TRUE(bptt_run_open(m, &rc, &r, &e) == BPTT_OK, "%s", e.words);
        bptt_run_close(r);
        bptt_model_close(m);
    }
    settings(NULL, NULL);
}
END_TEST

START_TEST(a_device_without_graphs_has_one_stream)
{
    double *got = NULL;
    char words[700];
    bptt_error e = {0};
    settings("StreamCreate:2:1,Create:2:1", "80000000");
    CK_TRUE(train(BPTT_LOWER_NEVER, &got, words, sizeof words, &e) == BPTT_OK, "%s", e.words);
    free(got);
    settings(NULL, NULL);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_capture_that_fails_is_told_and_does_without);
    tcase_add_test(c, a_context_that_is_lost_in_a_capture_stays_lost);
    tcase_add_test(c, workspaces_are_for_streams_that_multiply);
    tcase_add_test(c, a_device_without_graphs_has_one_stream);
}

int main(void)
{
    const char *gpu = getenv("BPTT_GPU");
    if (gpu && strcmp(gpu, "1") == 0) {
        fprintf(stderr, "skipped: stand-in: a GPU cannot be made to fail\n");
        return SKIPPED;
    }
    return run_suite("cuda graph", add, 300);
}
