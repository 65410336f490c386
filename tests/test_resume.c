// Going on from a file is the same as never having stopped, byte for byte, wherever the cut.
#include "suite.h"
#include "trainers.h"

// Four windows an epoch, a validation every three updates: cuts before, at and after both.
static void cut_and_go_on(const bptt_trainer_config *c, const unsigned char *text, size_t n)
{
    enum { STEPS = 10 };
    bptt_trainer *whole = NULL;
    CK_OK(bptt_trainer_open(c, text, n, &whole, NULL));
    trainer_go(whole, STEPS);
    for (int cut = 0; cut <= STEPS; cut++) {
        char path[32];
        bptt_trainer *t = NULL;
        bptt_trainer_config again;
        bptt_trainer_defaults(&again);
        again.model.compute.backend = c->model.compute.backend, again.model.compute.threads = 2, again.iterations = 0,
        again.epochs = 0;
        temporary(path);
        CK_OK(bptt_trainer_open(c, text, n, &t, NULL));
        trainer_go(t, cut);
        CK_OK(bptt_trainer_save(t, path, NULL));
        bptt_trainer_close(t);
        t = NULL;
        bptt_error e = {0};
        CK_TRUE(bptt_trainer_resume(path, &again, text, n, &t, &e) == BPTT_OK, "cut at %d: %s", cut, e.words);
        unlink(path);
        trainer_go(t, STEPS - cut);
        CK_TRUE(same_files(saved(whole), saved(t)), "%s, optimizer %d, cut at %d: other bytes",
                c->model.compute.backend, (int)c->model.optimizer, cut);
        bptt_trainer_close(t);
    }
    bptt_trainer_close(whole);
}

START_TEST(going_on_from_a_file_is_never_having_stopped)
{
    unsigned char *text = text_of(100, 9, 3);
    for (int o = BPTT_SGD; o <= BPTT_ADAM; o++)
        for (int i = 0; i < 2; i++) {
            bptt_trainer_config c = config_of(i ? "cpu" : "ref", BPTT_F32);
            c.model.optimizer = (bptt_optimizer)o, c.model.momentum = 0.5, c.valid_every = 3;
            c.model.cell = i ? BPTT_RELU : BPTT_TANH, c.model.biases = 1 + i, c.model.clip = 0.1;
            cut_and_go_on(&c, text, 100);
        }
    free(text);
}
END_TEST

// Of the configuration given to resume only backend, threads, iterations and epochs count; the type is the file's.
START_TEST(going_on_in_double_is_never_having_stopped)
{
    unsigned char *text = text_of(100, 9, 3);
    bptt_trainer_config c = config_of("ref", BPTT_F64);
    c.valid_every = 3;
    cut_and_go_on(&c, text, 100);
    free(text);
}
END_TEST

// Windows start within documents, whose states a file carries.
START_TEST(going_on_with_documents_is_never_having_stopped)
{
    unsigned char *text = lines_of(100, 9, 3);
    bptt_trainer_config c = config_of("cpu", BPTT_F32);
    bptt_trainer *plain = NULL, *lines = NULL;
    c.valid_every = 3;
    CK_OK(bptt_trainer_open(&c, text, 100, &plain, NULL));
    c.model.documents = BPTT_DOCUMENTS_LINE;
    cut_and_go_on(&c, text, 100);
    CK_OK(bptt_trainer_open(&c, text, 100, &lines, NULL));
    bptt_report a, b;
    CK_OK(bptt_trainer_step(plain, &a, NULL));
    CK_OK(bptt_trainer_step(lines, &b, NULL));
    ck_assert(fabs(a.loss - b.loss) > 1e-5); // documents start in these windows
    bptt_trainer_close(plain), bptt_trainer_close(lines);
    free(text);
}
END_TEST

START_TEST(resume_takes_its_options_from_the_file)
{
    unsigned char *text = text_of(100, 9, 3);
    char path[32];
    temporary(path);
    bptt_trainer_config c = config_of("ref", BPTT_F32), got, other;
    c.model.clip = 0.5, c.model.beta2 = 0.9, c.model.seed = 77;
    bptt_trainer *t = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    trainer_go(t, 6);
    CK_OK(bptt_trainer_save(t, path, NULL));
    bptt_trainer_close(t);
    bptt_trainer_defaults(&other);
    other.model.compute.backend = c.model.compute.backend, other.rate = 9, other.batch = 1, other.model.clip = 7,
    other.epochs = 0;
    const uint64_t iterations[] = {15, 40, 10}; // the file's; given; 2.5 epochs of 4 windows
    for (int i = 0; i < 3; i++) {
        bptt_trainer_info info;
        other.iterations = i == 1 ? 40 : 0, other.epochs = i == 2 ? 2.5 : 0;
        CK_OK(bptt_trainer_resume(path, &other, text, 100, &t, NULL));
        bptt_trainer_get_config(t, &got);
        bptt_trainer_get_info(t, &info);
        ck_assert(got.batch == 3 && got.steps == 5 && got.rate == 0.02 && got.valid == 0.25 && got.valid_every == 4);
        ck_assert(got.model.clip == 0.5 && got.model.beta2 == 0.9 && got.model.seed == 77 && got.model.hidden == 7);
        ck_assert_uint_eq(info.iterations, iterations[i]);
        ck_assert(info.iteration == 6 && bptt_model_updates(bptt_trainer_model(t)) == 6 && info.best_iteration == 4);
        bptt_trainer_close(t);
    }
    CK_OK(bptt_trainer_resume(path, NULL, text, 100, &t, NULL));
    bptt_trainer_close(t);
    unlink(path);
    free(text);
}
END_TEST

START_TEST(resume_refuses_another_text_and_what_is_no_state)
{
    unsigned char *text = text_of(100, 9, 3);
    char path[32], weights[32];
    temporary(path);
    temporary(weights);
    bptt_trainer_config c = config_of("ref", BPTT_F32);
    bptt_trainer *t = NULL, *none = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    trainer_go(t, 2);
    CK_OK(bptt_trainer_save(t, path, NULL));
    CK_OK(bptt_model_save(bptt_trainer_model(t), weights, NULL));
    bptt_error e = {0};
    ck_assert_int_eq(bptt_trainer_resume(path, &c, text, 99, &none, &e), BPTT_BAD_INPUT);
    const unsigned char kept = text[99];
    text[99] = text[kept == text[0]]; // another letter; the first nine differ
    ck_assert_int_eq(bptt_trainer_resume(path, &c, text, 100, &none, NULL), BPTT_BAD_INPUT);
    text[99] = kept;
    ck_assert_int_eq(bptt_trainer_resume(weights, &c, text, 100, &none, NULL), BPTT_BAD_FILE);
    ck_assert_int_eq(bptt_trainer_resume("/tmp/no such file", &c, text, 100, &none, NULL), BPTT_NO_INPUT);
    const file whole = slurp(path);
    FILE *cut = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(whole.bytes, 1, whole.n - 1, cut), whole.n - 1);
    fclose(cut);
    ck_assert_int_eq(bptt_trainer_resume(path, &c, text, 100, &none, NULL), BPTT_BAD_FILE);
    ck_assert_ptr_null(none);
    bptt_model *m = NULL; // and a model can be loaded from the complete state
    cut = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(whole.bytes, 1, whole.n, cut), whole.n);
    fclose(cut);
    CK_OK(bptt_model_load(path, NULL, &m, NULL));
    double *a = net_part(bptt_trainer_model(t), BPTT_WEIGHTS), *b = net_part(m, BPTT_WEIGHTS);
    ck_assert(same_bits(a, b, bptt_model_parameters(m)));
    free(a), free(b), free(whole.bytes), free(text);
    unlink(path), unlink(weights);
    bptt_model_close(m);
    bptt_trainer_close(t);
}
END_TEST

// ---- without a trainer --------------------------------------------------------------------------

// The state of a model and a run that a caller keeps, by public calls alone.
typedef struct kept {
    snapshot model;
    double *state;
} kept;

static void write_back(net *n, const kept *k)
{
    for (bptt_part p = BPTT_WEIGHTS; p <= BPTT_MOMENT2; p++) {
        const double *x = k->model.part[p];
        for (size_t i = 0; x && i < bptt_model_tensors(n->m); i++) {
            bptt_tensor t;
            CK_OK(bptt_model_tensor(n->m, i, &t, NULL));
            CK_OK(bptt_model_write(n->m, p, i, x, BPTT_F64, NULL));
            x += t.rows * t.cols;
        }
    }
    CK_OK(bptt_run_write_state(n->r, k->state, BPTT_F64, NULL));
}

static double update(net *n, uint64_t k)
{
    bptt_report report;
    net_random_window(n, k);
    CK_OK(bptt_run_train(n->r, &n->w, 1e-2, &report, NULL));
    return report.loss;
}

// Twenty updates, all written into a model of another seed, and five more on both.
static void stop_and_go_on(const char *backend, bptt_optimizer o, bool count)
{
    enum { B = 3, STATE = 2 * B * 7 };
    bptt_model_config c = net_config(backend, BPTT_F32, 9, 7, 2);
    c.optimizer = o, c.momentum = 0.5;
    const bptt_run_config rc = {.batch = B, .steps = 4, .gradient = 1};
    net whole, again;
    net_open(&whole, &c, &rc);
    for (uint64_t k = 0; k < 20; k++) (void)update(&whole, k);
    kept k = {snapshot_of(whole.m), net_state(whole.r, STATE)};
    c.seed = 99;
    net_open(&again, &c, &rc);
    write_back(&again, &k);
    free(k.state);
    ck_assert_uint_eq(k.model.updates, 20);
    ck_assert(snapshot_holds(&k.model, whole.m, true));
    if (count) CK_OK(bptt_model_set_updates(again.m, 20, NULL));
    bool same = true;
    for (uint64_t i = 20; i < 25; i++) same = update(&whole, i) == update(&again, i) && same;
    snapshot end = snapshot_of(whole.m);
    double *a = net_state(whole.r, STATE), *b = net_state(again.r, STATE);
    same = snapshot_holds(&end, again.m, true) && same_bits(a, b, STATE) && same;
    CK_TRUE(same == count, "%s, optimizer %d: %s", c.compute.backend, (int)o,
            count ? "other bytes" : "the count is not needed");
    free(a), free(b);
    net_close(&whole), net_close(&again);
}

START_TEST(a_loop_of_ones_own_goes_on_once_the_count_of_updates_is_back)
{
    if (placed_precision() == BPTT_PRECISION_FP16) return; // its loss scale is not kept so
    for (int i = 0; i < 2; i++)
        for (int o = BPTT_SGD; o <= BPTT_ADAM; o++) stop_and_go_on(i ? "cpu" : "ref", (bptt_optimizer)o, true);
    stop_and_go_on("cpu", BPTT_ADAM, false);
}
END_TEST

START_TEST(the_count_of_updates_is_set_between_windows_only)
{
    const bptt_model_config c = net_config("cpu", BPTT_F32, 9, 7, 2);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = 3, .steps = 4, .gradient = 1});
    bptt_error e = {0};
    CK_OK(bptt_run_submit(n.r, &n.w, 1e-2, NULL));
    ck_assert_int_eq(bptt_model_set_updates(n.m, 7, &e), BPTT_BAD_INPUT);
    ck_assert(strstr(e.words, "bptt_run_collect") && bptt_model_updates(n.m) == 1);
    CK_OK(bptt_run_collect(n.r, NULL, NULL));
    ck_assert_int_eq(bptt_model_set_updates(n.m, UINT64_C(1) << 53, NULL), BPTT_BAD_INPUT);
    CK_OK(bptt_model_set_updates(n.m, 7, NULL));
    ck_assert_uint_eq(bptt_model_updates(n.m), 7);
    CK_OK(bptt_model_set_updates(n.m, 0, NULL));
    net_close(&n);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, going_on_from_a_file_is_never_having_stopped);
    tcase_add_test(c, going_on_in_double_is_never_having_stopped);
    tcase_add_test(c, going_on_with_documents_is_never_having_stopped);
    tcase_add_test(c, resume_takes_its_options_from_the_file);
    tcase_add_test(c, resume_refuses_another_text_and_what_is_no_state);
    tcase_add_test(c, a_loop_of_ones_own_goes_on_once_the_count_of_updates_is_back);
    tcase_add_test(c, the_count_of_updates_is_set_between_windows_only);
}

int main(void) { return run_suite("resume", add, 60); }
