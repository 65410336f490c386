// The table of configuration fields (host/fields.h): checks, defaults, and their storage in model files.
#include "fields.h"
#include "safetensors.h"
#include "suite.h"
#include "trainers.h"

static bptt_trainer_config plain(void)
{
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model.vocab = 9, c.model.compute.backend = "ref";
    return c;
}

static bptt_status opened(bptt_trainer_config *c, bptt_error *e)
{
    bptt_model *m = NULL;
    bptt_trainer *t = NULL;
    unsigned char *text = text_of(4000, 9, 3);
    bptt_status s = bptt_trainer_open(c, text, 4000, &t, e);
    if (!s) s = bptt_model_open(&c->model, &m, e);
    bptt_model_close(m), bptt_trainer_close(t), free(text);
    return s;
}

// ---- ranges ---------------------------------------------------------------------------------------------------------

START_TEST(a_field_out_of_range_is_refused_by_its_name)
{
    for (const field *f = field_table; f < field_table + FIELDS; f++) {
        char quoted[40];
        const bool whole = f->kind == FIELD_IS_COUNT || f->kind == FIELD_IS_WORD;
        const uint64_t top = f->kind == FIELD_IS_WORD ? word_count(f->words) - 1 : (uint64_t)f->most;
        const double outside[] = {-1, f->most, (double)NAN, f->least - 0.5};
        snprintf(quoted, sizeof quoted, "`%s` is ", f->name);
        for (size_t i = 0; i < 4; i++) {
            bptt_trainer_config c = plain();
            bptt_error e = {0};
            if (!(whole ? i < 1 : f->kind == FIELD_IS_REAL)) continue;
            if (f == &field_table[FIELD_VOCAB]) continue; // a trainer's is the text's
            field_set(f, field_config(f, &c), top + 1, outside[i], NULL);
            CK_TRUE(opened(&c, &e) == BPTT_BAD_CONFIG, "%s: case %zu was taken", f->name, i);
            CK_TRUE(strstr(e.words, quoted) || f == &field_table[FIELD_INPUT], "%s: %s", f->name, e.words);
        }
    }
}
END_TEST

START_TEST(epochs_count_only_without_iterations)
{
    bptt_trainer_config c = plain();
    c.iterations = 5, c.epochs = -1;
    ck_assert_int_eq(opened(&c, NULL), BPTT_OK);
    c.iterations = 0;
    ck_assert_int_eq(opened(&c, NULL), BPTT_BAD_CONFIG);
}
END_TEST

START_TEST(the_ends_of_a_range_are_those_of_the_table)
{
    char words[64];
    for (const field *f = field_table; f < field_table + FIELDS; f++) {
        if (f->kind != FIELD_IS_COUNT && f->kind != FIELD_IS_REAL) continue;
        const bool real = f->kind == FIELD_IS_REAL;
        ck_assert(field_in_range(f, real ? 0 : (uint64_t)f->least, f->least));
        ck_assert(field_in_range(f, real ? 0 : (uint64_t)f->most, f->most) == !f->below);
        ck_assert(field_in_range(f, 0, 0) == (f->least <= 0 || f->or_zero));
    }
    ck_assert(range_words(1, 64, false, words) && strcmp(words, "1 to 64") == 0);
    ck_assert(range_words(0, 1, true, words) && strcmp(words, "at least 0 and below 1") == 0);
    ck_assert(!range_words(1, MANY, false, words) && strcmp(words, "1 or more") == 0);
    ck_assert(!range_words(TINY, (double)INFINITY, true, words) && strcmp(words, "above 0") == 0);
}
END_TEST

START_TEST(every_default_is_in_range_and_what_the_defaults_function_gives)
{
    bptt_trainer_config given, c;
    bptt_trainer_defaults(&given), bptt_trainer_defaults(&c);
    for (const field *f = field_table; f < field_table + FIELDS; f++) {
        if (f->kind == FIELD_IS_TEXT) continue;
        const void *const at = field_config(f, &given);
        CK_TRUE(f == &field_table[FIELD_VOCAB] || field_in_range(f, field_count(f, at), field_real(f, at)), "%s",
                f->name);
        field_set(f, field_config(f, &c), 77, 77, NULL);
        CK_TRUE(field_parse(f, field_config(f, &c), f->standard), "%s", f->name);
        CK_TRUE(field_count(f, field_config(f, &c)) == field_count(f, at) &&
                    field_real(f, field_config(f, &c)) == field_real(f, at),
                "%s", f->name);
    }
    ck_assert(given.model.optimizer == BPTT_ADAM && given.model.beta2 == 0.999 && given.model.epsilon == 1e-8);
    ck_assert(given.rate == 2e-3 && given.model.clip == 5 && given.model.hidden == 128 && given.epochs == 10);
}
END_TEST

START_TEST(words_of_fields_are_those_of_backends_and_enumerations)
{
    char word[32];
    ck_assert_uint_eq(word_count(field_table[FIELD_CELL].words), bptt_cells);
    for (size_t i = 0; i < bptt_cells; i++)
        ck_assert_str_eq(word_at(field_table[FIELD_CELL].words, i, word), bptt_cell_table[i].word);
    ck_assert_uint_eq(word_count(field_table[FIELD_PRECISION].words), BPTT_PRECISIONS);
    for (size_t i = 0; i < BPTT_PRECISIONS; i++)
        ck_assert_str_eq(word_at(field_table[FIELD_PRECISION].words, i, word), bptt_precision_word[i]);
    ck_assert_int_eq(word_place(field_table[FIELD_OPTIMIZER].words, "rmsprop"), BPTT_RMSPROP);
    ck_assert_int_eq(word_place(field_table[FIELD_CLIP_MODE].words, "value"), BPTT_CLIP_VALUE);
    ck_assert_int_eq(word_place(field_table[FIELD_INIT].words, "uniform"), BPTT_INIT_UNIFORM);
    ck_assert_int_eq(word_place(field_table[FIELD_DOCUMENTS].words, "line"), BPTT_DOCUMENTS_LINE);
    ck_assert_int_eq(word_place(field_table[FIELD_DOCUMENTS].words, "blank"), BPTT_DOCUMENTS_BLANK);
    ck_assert_int_eq(word_place(field_table[FIELD_LOWERING].words, "always"), BPTT_LOWER_ALWAYS);
    ck_assert_int_eq(word_place(field_table[FIELD_PRODUCT].words, "library"), BPTT_PRODUCT_LIBRARY);
}
END_TEST

// ---- files ----------------------------------------------------------------------------------------------------------

// No saved field has its default.
static bptt_trainer_config odd(void)
{
    bptt_trainer_config c = config_of("ref", BPTT_F32);
    bptt_model_config *m = &c.model;
    m->cell = BPTT_RELU, m->biases = 2, m->init = BPTT_INIT_UNIFORM, m->seed = UINT64_MAX, m->optimizer = BPTT_RMSPROP;
    m->momentum = 0.1, m->decay = 0.2, m->beta1 = 0.3, m->beta2 = 0.4, m->epsilon = 1e-5;
    m->clip = 0.5, m->clip_mode = BPTT_CLIP_VALUE, m->documents = BPTT_DOCUMENTS_LINE, m->learned_state = 1;
    return c;
}

// Saves the state of a run of two updates; the caller frees the text.
static unsigned char *save_odd(const char *path)
{
    const bptt_trainer_config c = odd();
    unsigned char *text = lines_of(100, 9, 3);
    bptt_trainer *t = NULL;
    CK_OK(bptt_trainer_open(&c, text, 100, &t, NULL));
    CK_OK(bptt_trainer_step(t, NULL, NULL));
    CK_OK(bptt_trainer_step(t, NULL, NULL));
    CK_OK(bptt_trainer_save(t, path, NULL));
    bptt_trainer_close(t);
    return text;
}

START_TEST(every_saved_field_comes_back_from_a_file)
{
    char path[32];
    temporary(path);
    bptt_trainer_config want = odd(), got;
    unsigned char *text = save_odd(path);
    bptt_trainer *t = NULL;
    want.model.vocab = 9;
    CK_OK(bptt_trainer_resume(path, NULL, text, 100, &t, NULL));
    bptt_trainer_get_config(t, &got);
    for (const field *f = field_table; f < field_table + FIELDS; f++) {
        const void *const a = field_config(f, &want), *const b = field_config(f, &got);
        CK_TRUE(f->owner != OF_MODEL || f->kept & FIELD_SAVED, "%s of a model is not saved", f->name);
        if (!(f->kept & FIELD_SAVED)) continue;
        CK_TRUE(field_count(f, a) == field_count(f, b) && field_real(f, a) == field_real(f, b), "%s", f->name);
    }
    bptt_trainer_close(t);
    unlink(path), free(text);
}
END_TEST

// A copy of a file with other metadata: old form, enumerations by number; or one value of a key.
static void rewrite(const char *from, const char *to, bool numbers, const char *key, const char *value)
{
    enum { PAIRS_MOST = 64 };
    st_reader *r = NULL;
    st_writer *w = NULL;
    st_pair pair[PAIRS_MOST];
    char number[PAIRS_MOST][24];
    size_t n = 0;
    CK_OK(st_read_open(from, 0, &r, NULL));
    for (size_t i = 0; i < st_metadata_count(r); i++) {
        st_pair p = st_metadata_at(r, i);
        if (strncmp(p.key, "crc32c", 6) == 0 || (key && !value && strcmp(p.key, key) == 0)) continue;
        if (key && strcmp(p.key, key) == 0) p.value = value;
        for (const field *f = field_table; numbers && f < field_table + FIELDS; f++)
            if (f->kept & FIELD_WAS_NUMBER && strcmp(p.key, f->key) == 0) {
                ck_assert_int_ge(word_place(f->words, p.value), 0);
                snprintf(number[n], sizeof number[n], "%d", word_place(f->words, p.value));
                p.value = number[n];
            }
        ck_assert_uint_lt(n, PAIRS_MOST);
        pair[n++] = p;
    }
    st_tensor *t = must_alloc(st_count(r), sizeof *t);
    for (size_t i = 0; i < st_count(r); i++) t[i] = *st_at(r, i);
    CK_OK(st_write_open(to, t, st_count(r), pair, n, &w, NULL));
    for (size_t i = 0; i < st_count(r); i++) {
        const size_t bytes = (size_t)(st_at(r, i)->end - st_at(r, i)->begin);
        void *x = must_alloc(bytes, 1);
        CK_OK(st_read(r, st_at(r, i), x, NULL));
        CK_OK(st_write(w, x, bytes, NULL));
        free(x);
    }
    CK_OK(st_write_commit(w, NULL));
    st_read_close(r), free(t);
}

START_TEST(enumerations_are_saved_as_words)
{
    static const st_pair want[] = {{"cell", "relu"},       {"init", "uniform"}, {"optimizer", "rmsprop"},
                                   {"clip_mode", "value"}, {"biases", "2"},     {"documents", "line"}};
    char path[32];
    temporary(path);
    free(save_odd(path));
    st_reader *r = NULL;
    CK_OK(st_read_open(path, 0, &r, NULL));
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const char *const value = st_metadata(r, want[i].key);
        CK_TRUE(value && strcmp(value, want[i].value) == 0, "%s is %s", want[i].key, value ? value : "absent");
    }
    st_read_close(r), unlink(path);
}
END_TEST

START_TEST(a_file_with_numbers_for_enumerations_goes_on_as_one_with_words)
{
    char path[32], old[32];
    temporary(path), temporary(old);
    unsigned char *text = save_odd(path);
    rewrite(path, old, true, NULL, NULL);
    const file a = slurp(path), b = slurp(old);
    ck_assert(a.n != b.n || memcmp(a.bytes, b.bytes, a.n) != 0); // it is another form
    bptt_trainer *one = NULL, *two = NULL;
    CK_OK(bptt_trainer_resume(path, NULL, text, 100, &one, NULL));
    CK_OK(bptt_trainer_resume(old, NULL, text, 100, &two, NULL));
    ck_assert(same_files(saved(one), a)); // read and written again: the same bytes
    for (int i = 0; i < 3; i++) {
        CK_OK(bptt_trainer_step(one, NULL, NULL));
        CK_OK(bptt_trainer_step(two, NULL, NULL));
    }
    ck_assert(same_files(saved(one), saved(two)));
    bptt_trainer_close(one), bptt_trainer_close(two);
    unlink(path), unlink(old), free(text), free(b.bytes);
}
END_TEST

START_TEST(a_field_that_an_older_file_lacks_has_its_default)
{
    char path[32], old[32];
    temporary(path), temporary(old);
    unsigned char *text = save_odd(path);
    for (const field *f = field_table; f < field_table + FIELDS; f++) {
        bptt_trainer_config got;
        bptt_trainer *t = NULL;
        bptt_trainer_defaults(&got);
        const uint64_t standard = field_count(f, field_config(f, &got));
        if (!(f->kept & FIELD_UNLESS_0) || f == &field_table[FIELD_LEARNED_STATE]) continue; // its tensors tell
        rewrite(path, old, false, f->key, NULL);
        CK_OK(bptt_trainer_resume(old, NULL, text, 100, &t, NULL));
        bptt_trainer_get_config(t, &got);
        CK_TRUE(field_count(f, field_config(f, &got)) == standard, "%s", f->name);
        bptt_trainer_close(t);
    }
    ck_assert(field_table[FIELD_DOCUMENTS].kept & FIELD_UNLESS_0);
    unlink(path), unlink(old), free(text);
}
END_TEST

START_TEST(metadata_that_no_version_writes_are_refused)
{
    static const struct {
        const char *key, *value, *says; // value NULL: the key is left out
    } row[] = {
        {"optimizer", "lion", "\"lion\" is unknown to this version; it knows sgd|rmsprop|adam"},
        {"optimizer", "3", "\"optimizer\" is out of range"},
        {"init", "18446744073709551615", "\"init\" is out of range"},
        {"clip_mode", NULL, "no word \"clip_mode\""},
        {"documents", "1", "\"1\" is unknown to this version; it knows none|line|blank"},
        {"cell", "1", "\"1\" is unknown to this version"},
        {"cell", NULL, "do not name its cell"},
        {"hidden", "7.0", "no whole number \"hidden\""},
        {"layers", "65", "\"layers\" is out of range"},
        {"biases", "4294967297", "\"biases\" is out of range"},
        {"beta1", "1", "\"beta1\" is out of range"},
        {"momentum", "a", "no number \"momentum\""},
        {"train.batch", "0", "\"train.batch\" is out of range"},
        {"train.rate", "0", "\"train.rate\" is out of range"},
        {"train.valid_every", NULL, "no whole number \"train.valid_every\""},
    };
    char path[32], other[32];
    temporary(path), temporary(other);
    unsigned char *text = save_odd(path);
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        bptt_trainer *t = NULL;
        bptt_error e = {0};
        rewrite(path, other, false, row[i].key, row[i].value);
        CK_TRUE(bptt_trainer_resume(other, NULL, text, 100, &t, &e) == BPTT_BAD_FILE, "%s %s: %s", row[i].key,
                row[i].value ? row[i].value : "absent", e.words);
        CK_TRUE(strstr(e.words, row[i].says), "%s %s: %s", row[i].key, row[i].value ? row[i].value : "absent", e.words);
        ck_assert_ptr_null(t);
    }
    unlink(path), unlink(other), free(text);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_field_out_of_range_is_refused_by_its_name);
    tcase_add_test(c, epochs_count_only_without_iterations);
    tcase_add_test(c, the_ends_of_a_range_are_those_of_the_table);
    tcase_add_test(c, every_default_is_in_range_and_what_the_defaults_function_gives);
    tcase_add_test(c, words_of_fields_are_those_of_backends_and_enumerations);
    tcase_add_test(c, every_saved_field_comes_back_from_a_file);
    tcase_add_test(c, enumerations_are_saved_as_words);
    tcase_add_test(c, a_file_with_numbers_for_enumerations_goes_on_as_one_with_words);
    tcase_add_test(c, a_field_that_an_older_file_lacks_has_its_default);
    tcase_add_test(c, metadata_that_no_version_writes_are_refused);
}

int main(void) { return run_suite("fields", add, 60); }
