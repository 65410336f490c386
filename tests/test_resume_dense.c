// Going on from a file of a run on a sequence is the same as never having stopped, byte for byte, and only on the same
// sequence.
#include "sequences.h"
#include "suite.h"

static bptt_trainer_config again_config(void)
{
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model.compute.backend = "cpu", c.epochs = 0, c.model.input = INPUTS, c.model.output = TARGETS;
    return c;
}

START_TEST(going_on_from_a_file_is_never_having_stopped)
{
    enum { UPDATES = 12 }; // five windows an epoch, a validation every four updates
    static const bptt_cell cells[] = {BPTT_TANH, BPTT_GRU, BPTT_LSTM};
    data d = data_of(STEPS, INPUTS, TARGETS, 6);
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        bptt_trainer_config c = dense_config("cpu", BPTT_F32), again = again_config();
        c.model.cell = cells[i], c.burn_in = 2 * i, c.model.skip = i == 1, c.model.loss = (bptt_loss)(BPTT_SQUARED + i);
        bptt_trainer *whole = open_dense(&c, &d);
        trainer_go(whole, UPDATES);
        for (int cut = 0; cut <= UPDATES; cut++) {
            char path[32];
            bptt_error e = {0};
            bptt_trainer *t = open_dense(&c, &d);
            bptt_trainer_config got;
            temporary(path);
            trainer_go(t, cut);
            CK_OK(bptt_trainer_save(t, path, NULL));
            bptt_trainer_close(t);
            CK_TRUE(bptt_trainer_resume_dense(path, &again, d.x, d.y, d.n, &t, &e) == BPTT_OK, "%s", e.words);
            unlink(path);
            trainer_go(t, UPDATES - cut);
            bptt_trainer_get_config(t, &got);
            ck_assert(got.burn_in == 2 * i && got.model.loss == c.model.loss && got.model.skip == c.model.skip);
            CK_TRUE(same_files(saved(whole), saved(t)), "cell %d, cut at %d: other bytes", (int)cells[i], cut);
            bptt_trainer_close(t);
        }
        bptt_trainer_close(whole);
    }
    data_free(&d);
}
END_TEST

START_TEST(resume_refuses_other_data_other_widths_and_texts)
{
    data d = data_of(STEPS, INPUTS, TARGETS, 7);
    unsigned char *text = text_of(100, 9, 3);
    char dense[32], of_text[32];
    temporary(dense), temporary(of_text);
    bptt_trainer_config c = dense_config("cpu", BPTT_F32), again = again_config(), other;
    bptt_trainer *t = open_dense(&c, &d), *none = NULL;
    CK_OK(bptt_trainer_save(t, dense, NULL));
    bptt_trainer_close(t);
    c = config_of("cpu", BPTT_F32);
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    CK_OK(bptt_trainer_save(t, of_text, NULL));
    bptt_trainer_close(t);
    REFUSED(bptt_trainer_resume_dense(of_text, &again, d.x, d.y, d.n, &none, e), BPTT_BAD_INPUT, "run on a text");
    REFUSED(bptt_trainer_resume(dense, &again, text, 100, &none, e), BPTT_BAD_INPUT, "a sequence of floats, but");
    REFUSED(bptt_trainer_resume(dense, NULL, text, 100, &none, e), BPTT_BAD_INPUT, "a sequence of floats, but");
    REFUSED(bptt_trainer_resume_dense(dense, NULL, d.x, d.y, d.n, &none, e), BPTT_BAD_INPUT, "a configuration");
    REFUSED(bptt_trainer_resume_dense(dense, &again, d.x, d.y, d.n - 1, &none, e), BPTT_BAD_INPUT,
            "103 steps instead of 104");
    for (int i = 0; i < 4; i++) { // 0: no widths; 1, 2: another one; 3: wider than the arrays, whose end is not passed
        other = again;
        other.model.input = i == 0 ? 0 : i == 1 ? INPUTS - 1 : i == 3 ? 65536 : INPUTS;
        other.model.output = i == 2 ? TARGETS - 1 : i == 3 ? 65536 : TARGETS;
        REFUSED(bptt_trainer_resume_dense(dense, &other, d.x, d.y, d.n, &none, e), BPTT_BAD_INPUT,
                "the file's model has 3 inputs and 2 targets");
    }
    float *const changed[] = {&d.x[0], &d.x[STEPS * INPUTS - 1], &d.y[0], &d.y[STEPS * TARGETS - 1]};
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        *changed[i] += 0.25f;
        REFUSED(bptt_trainer_resume_dense(dense, &again, d.x, d.y, d.n, &none, e), BPTT_BAD_INPUT, "another SHA-256");
        *changed[i] -= 0.25f;
    }
    CK_OK(bptt_trainer_resume_dense(dense, &again, d.x, d.y, d.n, &t, NULL));
    bptt_trainer_close(t);
    ck_assert_ptr_null(none);
    unlink(dense), unlink(of_text);
    free(text);
    data_free(&d);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, going_on_from_a_file_is_never_having_stopped);
    tcase_add_test(c, resume_refuses_other_data_other_widths_and_texts);
}

int main(void) { return run_suite("resume_dense", add, 20); }
