// Texts of many documents: the state starts anew at each. The references are documents that are split by hand here and
// computed one by one, from zeros, with a model that knows nothing of documents.
#include "sampler.h"
#include "suite.h"
#include "trainer_on.h"

// ---- the separator ------------------------------------------------------------------------------

START_TEST(a_document_ends_where_the_header_says)
{
    static const struct {
        bptt_documents documents;
        const char *text, *ends; // ends: x under the last byte of a separator
    } row[] = {
        {BPTT_DOCUMENTS_NONE, "a\n\nb\n", "....."},
        {BPTT_DOCUMENTS_LINE, "\nab\n\nc\r\nd", "x..xx..x."},
        {BPTT_DOCUMENTS_LINE, "abc", "..."},
        {BPTT_DOCUMENTS_BLANK, "ab\ncd\n\ne", "......x."},
        {BPTT_DOCUMENTS_BLANK, "\n\n\na\n\n\n\nb\n", ".xx..xxx.."},         // a run: each of its empty lines
        {BPTT_DOCUMENTS_BLANK, "a\r\nb\r\n\r\n\r\nc\r\n", ".......x.x..."}, // lines that end in \r\n
        {BPTT_DOCUMENTS_BLANK, "a\n\r\nb\r\n\nc", "...x...x."},
        {BPTT_DOCUMENTS_BLANK, "a\r\r\n\r\r\n \n\t\nb", "............"}, // these lines are not empty
    };
    for (size_t k = 0; k < sizeof row / sizeof row[0]; k++) {
        const size_t n = strlen(row[k].text);
        ck_assert_uint_eq(strlen(row[k].ends), n);
        for (size_t i = 0; i < n; i++)
            CK_TRUE(bptt_ends_document(row[k].documents, row[k].text, i) == (row[k].ends[i] == 'x'),
                    "row %zu, byte %zu", k, i);
    }
}
END_TEST

// The end of the document that begins at `from` by another definition, a search: just behind its separator, or n.
static size_t end_by_hand(bptt_documents d, const char *text, size_t n, size_t from)
{
    static const char *const sought[] = {"\n", "\n\n", "\n\r\n"};
    size_t end = n;
    for (size_t k = d == BPTT_DOCUMENTS_LINE ? 0 : 1; k < (d == BPTT_DOCUMENTS_LINE ? 1 : 3); k++) {
        const size_t m = strlen(sought[k]);
        for (size_t i = from >= m ? from - m + 1 : 0; i + m <= n; i++) // the separator may begin before the document
            if (memcmp(text + i, sought[k], m) == 0) {
                if (i + m < end) end = i + m;
                break;
            }
    }
    return end;
}

// last[i]: byte i is the last of a separator.
static bool *marks_by_hand(bptt_documents d, const char *text, size_t n)
{
    bool *last = must_alloc(n, sizeof *last);
    for (size_t end = 0; d != BPTT_DOCUMENTS_NONE && end < n;) {
        end = end_by_hand(d, text, n, end);
        last[end - 1] = true; // or the end of the text, which is never read
    }
    return last;
}

// A text of 9 letters, all in it, with documents of 0 to some 600 bytes: longer and shorter than the windows here.
static char *documents_of(size_t n, bptt_documents d, bool carriage_returns, uint64_t seed)
{
    static const char start[] = "abcdef\r\nx\n";
    char *text = must_alloc(n + 1, 1);
    for (size_t i = 0; i < n;) {
        const size_t kind = random_below(&seed, 4), length = random_below(&seed, kind == 0 ? 600 : 9);
        for (size_t k = 0; k < length && i < n; k++)
            text[i++] = "abcdefx\n"[random_below(&seed, d == BPTT_DOCUMENTS_BLANK ? 8 : 7)];
        for (size_t k = 0; k < (d == BPTT_DOCUMENTS_BLANK ? 2 : 1); k++) {
            if (carriage_returns && i < n) text[i++] = '\r';
            if (i < n) text[i++] = '\n';
        }
    }
    memcpy(text, start, strlen(start));
    return text;
}

enum { LETTERS = 9 };
static const char letters[] = "\n\rabcdefx"; // ascending, as trainers have them

static int32_t token_at(const char *text, size_t i) { return (int32_t)(strchr(letters, text[i]) - letters); }

static bptt_model *model_of(bptt_documents d)
{
    bptt_model_config c = net_config("ref", BPTT_F64, LETTERS, 7, 2);
    bptt_model *m = NULL;
    c.documents = d;
    CK_OK(bptt_model_open(&c, &m, NULL));
    CK_OK(bptt_model_set_vocabulary(m, (const unsigned char *)letters, LETTERS, NULL));
    return m;
}

static const struct {
    bptt_documents documents;
    bool carriage_returns;
} KINDS[] = {{BPTT_DOCUMENTS_LINE, false},
             {BPTT_DOCUMENTS_LINE, true},
             {BPTT_DOCUMENTS_BLANK, false},
             {BPTT_DOCUMENTS_BLANK, true}};
enum { KIND_COUNT = sizeof KINDS / sizeof KINDS[0] };

// ---- scores -------------------------------------------------------------------------------------

// 3001 bytes: several windows of the scorer, and documents across their ends.
START_TEST(the_score_of_a_text_is_the_sum_of_its_documents_alone)
{
    enum { N = 3001 };
    for (size_t k = 0; k < KIND_COUNT; k++) {
        const bptt_documents d = KINDS[k].documents;
        char *text = documents_of(N, d, KINDS[k].carriage_returns, 40 + k);
        bptt_model *m = model_of(d), *plain = model_of(BPTT_DOCUMENTS_NONE);
        bptt_report whole, one, together;
        double sum = 0, predicted = 0;
        size_t count = 0;
        CK_OK(bptt_score(m, text, N, NULL, NULL, &whole, NULL));
        for (size_t from = 0, end; from < N; from = end, count++) {
            end = end_by_hand(d, text, N, from);
            const size_t start = from > 0 ? from - 1 : 0; // its first input: the byte before it, the separator's last
            if (end - start < 2) continue;
            CK_OK(bptt_score(plain, text + start, end - start, NULL, NULL, &one, NULL));
            sum += one.loss * one.weight, predicted += one.weight;
        }
        sum /= N - 1;
        ck_assert(whole.weight == N - 1 && predicted == N - 1 && count > 20);
        CK_NEAR(near_scaled(&whole.loss, &sum, 1, 1e-12), "loss");
        CK_OK(bptt_score(plain, text, N, NULL, NULL, &together, NULL));
        CK_TRUE(fabs(together.loss - sum) > 1e-4 * sum, "kind %zu: nothing depends on the documents", k);
        bptt_model_close(m), bptt_model_close(plain);
        free(text);
    }
}
END_TEST

START_TEST(a_text_of_one_document_has_the_score_of_a_plain_model)
{
    char *text = documents_of(700, BPTT_DOCUMENTS_LINE, false, 5);
    for (size_t i = 0; i < 700; i++)
        if (text[i] == '\n') text[i] = 'b';
    bptt_model *m = model_of(BPTT_DOCUMENTS_LINE), *plain = model_of(BPTT_DOCUMENTS_NONE);
    bptt_report a, b;
    CK_OK(bptt_score(m, text, 700, NULL, NULL, &a, NULL));
    CK_OK(bptt_score(plain, text, 700, NULL, NULL, &b, NULL));
    ck_assert(a.loss == b.loss);
    bptt_model_close(m), bptt_model_close(plain);
    free(text);
}
END_TEST

// ---- training -----------------------------------------------------------------------------------

enum { TEXT = 700, TRAIN = 525, B = 3, T = 21, LENGTH = (TRAIN - 1) / B, WINDOWS = LENGTH / T, H = 7, L = 2 };

static bptt_trainer_config trainer_config(const char *backend, bptt_type type, bptt_documents d)
{
    bptt_trainer_config c = config_of(backend, type);
    c.model.hidden = H, c.model.layers = L, c.model.documents = d, c.batch = B, c.steps = T;
    return c;
}

// Loss and gradient of steps first .. first + n - 1 of one stream from state h [L][H], weighted by n / (T B), added up.
static void add_piece(bptt_model *m, const char *text, size_t first, size_t n, const double *h, double *loss,
                      double *gradient)
{
    int32_t x[T], y[T];
    bptt_report report;
    bptt_run *r = run_on(m, (bptt_run_config){.batch = 1, .steps = n, .gradient = 1});
    for (size_t t = 0; t < n; t++) x[t] = token_at(text, first + t), y[t] = token_at(text, first + t + 1);
    CK_OK(bptt_run_write_state(r, h, BPTT_F64, NULL));
    CK_OK(bptt_run_gradient(r, &(bptt_window){.size = sizeof(bptt_window), .token = x, .target = y}, &report, NULL));
    double *part = net_part(m, BPTT_GRADIENT);
    const double share = (double)n / (T * B);
    for (size_t i = 0; i < bptt_model_parameters(m); i++) gradient[i] += share * part[i];
    *loss += share * report.loss;
    bptt_run_close(r);
    free(part);
}

static void copy_weights(bptt_model *from, bptt_model *to)
{
    for (size_t i = 0; i < bptt_model_tensors(from); i++) {
        bptt_tensor t;
        CK_OK(bptt_model_tensor(from, i, &t, NULL));
        double *x = reals(t.rows * t.cols);
        CK_OK(bptt_model_read(from, BPTT_WEIGHTS, i, x, BPTT_F64, NULL));
        CK_OK(bptt_model_write(to, BPTT_WEIGHTS, i, x, BPTT_F64, NULL));
        free(x);
    }
}

// Each window of two epochs: its streams are cut at their separators; the first piece starts from the carried state.
START_TEST(the_gradient_of_an_update_is_that_of_its_documents_alone)
{
    for (size_t k = 0; k < KIND_COUNT; k++) {
        char *text = documents_of(TEXT, KINDS[k].documents, KINDS[k].carriage_returns, 60 + k);
        const bptt_trainer_config c = trainer_config("ref", BPTT_F64, KINDS[k].documents);
        bptt_trainer *t = NULL;
        CK_OK(bptt_trainer_open(&c, text, TEXT, &t, NULL));
        bptt_model *m = bptt_trainer_model(t), *plain = model_of(BPTT_DOCUMENTS_NONE);
        bool *last = marks_by_hand(KINDS[k].documents, text, TEXT);
        const size_t n = bptt_model_parameters(m);
        for (size_t step = 0; step < 2 * WINDOWS; step++) {
            double *carried = net_state(t->run, L * B * H), *want = reals(n), loss = 0;
            bptt_report report;
            copy_weights(m, plain);
            for (size_t b = 0; b < B; b++) {
                const size_t from = b * LENGTH + step % WINDOWS * T;
                double h[L * H] = {0};
                for (size_t l = 0; l < L && step % WINDOWS > 0; l++)
                    memcpy(h + l * H, carried + (l * B + b) * H, H * sizeof *h);
                for (size_t at = from, end; at < from + T; at = end) {
                    if (at > from || last[at]) memset(h, 0, sizeof h);
                    for (end = at + 1; end < from + T && !last[end];) end++;
                    add_piece(plain, text, at, end - at, h, &loss, want);
                }
            }
            CK_OK(bptt_trainer_step(t, &report, NULL));
            double *got = net_part(m, BPTT_GRADIENT);
            CK_NEAR(near_scaled(&report.loss, &loss, 1, 1e-12), "loss");
            CK_NEAR(near_scaled(got, want, n, 1e-12), "gradient");
            free(carried), free(want), free(got);
        }
        bptt_trainer_close(t), bptt_model_close(plain);
        free(text), free(last);
    }
}
END_TEST

// On any backend: the same model and windows by hand, with keep from the marks; the same bits, and validation too.
START_TEST(an_update_is_that_of_windows_with_keep_by_hand)
{
    for (size_t k = 0; k < KIND_COUNT; k++) {
        char *text = documents_of(TEXT, KINDS[k].documents, KINDS[k].carriage_returns, 70 + k);
        bool *last = marks_by_hand(KINDS[k].documents, text, TEXT);
        bptt_trainer_config c = trainer_config("cpu", BPTT_F32, KINDS[k].documents), plain = c;
        bptt_trainer *t = NULL;
        net n;
        CK_OK(bptt_trainer_open(&c, text, TEXT, &t, NULL));
        plain.model.documents = BPTT_DOCUMENTS_NONE, plain.model.vocab = LETTERS;
        net_open(&n, &plain.model, &(bptt_run_config){.batch = B, .steps = T, .gradient = 1, .keep = 1});
        for (size_t step = 0; step < 2 * WINDOWS + 3; step++) {
            bptt_report ours, hand;
            if (step % WINDOWS == 0) CK_OK(bptt_run_reset(n.r, NULL));
            for (size_t i = 0; i < T * B; i++) {
                const size_t at = i % B * LENGTH + step % WINDOWS * T + i / B;
                n.token[i] = token_at(text, at), n.target[i] = token_at(text, at + 1), n.keep[i] = last[at] ? 0 : 1;
            }
            n.w.keep = n.keep;
            CK_OK(bptt_run_train(n.r, &n.w, c.rate, &hand, NULL));
            CK_OK(bptt_trainer_step(t, &ours, NULL));
            CK_TRUE(ours.loss == hand.loss && ours.grad_norm == hand.grad_norm,
                    "kind %zu, step %zu: %.17g, by hand %.17g", k, step, ours.loss, hand.loss);
        }
        bptt_report valid, score;
        CK_OK(bptt_trainer_validate(t, NULL, NULL, &valid, NULL));
        CK_OK(bptt_score(bptt_trainer_model(t), text + TRAIN, TEXT - TRAIN, NULL, NULL, &score, NULL));
        ck_assert(valid.loss == score.loss && valid.weight == TEXT - TRAIN - 1);
        net_close(&n), bptt_trainer_close(t);
        free(text), free(last);
    }
}
END_TEST

// One stream, one window, documents in two orders: "\n" before the first, so that all of them start alike.
START_TEST(the_order_of_documents_in_a_window_does_not_matter)
{
    static const char *const texts[] = {"\nabcdef\nx\n\nfade\nbad\ncafe\n", "\n\ncafe\nx\nabcdef\nbad\nfade\n"};
    const size_t n = strlen(texts[0]);
    for (bptt_documents d = BPTT_DOCUMENTS_NONE; d <= BPTT_DOCUMENTS_LINE; d++) {
        bptt_report report[2];
        double *gradient[2];
        size_t size = 0;
        for (size_t i = 0; i < 2; i++) {
            bptt_trainer_config c = trainer_config("ref", BPTT_F64, d);
            bptt_trainer *t = NULL;
            c.batch = 1, c.steps = n - 1, c.valid = 0;
            CK_OK(bptt_trainer_open(&c, texts[i], n, &t, NULL));
            CK_OK(bptt_trainer_step(t, &report[i], NULL));
            size = bptt_model_parameters(bptt_trainer_model(t));
            gradient[i] = net_part(bptt_trainer_model(t), BPTT_GRADIENT);
            bptt_trainer_close(t);
        }
        if (d == BPTT_DOCUMENTS_NONE) {
            CK_TRUE(fabs(report[0].loss - report[1].loss) > 1e-6, "the order of this text matters to no one");
        } else {
            CK_NEAR(near_scaled(&report[0].loss, &report[1].loss, 1, 1e-12), "loss");
            CK_NEAR(near_scaled(gradient[0], gradient[1], size, 1e-12), "gradient");
        }
        free(gradient[0]), free(gradient[1]);
    }
}
END_TEST

START_TEST(the_trainer_counts_the_documents_it_trains_on)
{
    static const struct {
        const char *text;
        bptt_documents documents;
        double valid;
        size_t count;
    } row[] = {{"ab\ncd\nef\n", BPTT_DOCUMENTS_NONE, 0, 0},
               {"ab\ncd\nef\n", BPTT_DOCUMENTS_LINE, 0, 3},
               {"ab\ncd\nef\n", BPTT_DOCUMENTS_LINE, 0.3, 2},
               {"ab\n\ncd\nef\n\n\nx", BPTT_DOCUMENTS_BLANK, 0, 4}};
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        bptt_trainer_config c = trainer_config("ref", BPTT_F64, row[i].documents);
        bptt_trainer_info info;
        bptt_trainer *t = NULL;
        c.batch = 1, c.steps = 3, c.valid = row[i].valid;
        CK_OK(bptt_trainer_open(&c, row[i].text, strlen(row[i].text), &t, NULL));
        bptt_trainer_get_info(t, &info);
        CK_TRUE(info.documents == row[i].count, "row %zu: %zu", i, info.documents);
        bptt_trainer_close(t);
    }
}
END_TEST

START_TEST(a_text_that_is_one_document_is_refused_in_words)
{
    static const struct {
        const char *text;
        bptt_documents documents;
        const char *words;
    } row[] = {{"abcabcabc\n", BPTT_DOCUMENTS_LINE, "`documents` is line, but no newline"}, // its end separates nothing
               {"abcabcabcabc", BPTT_DOCUMENTS_LINE, "9 bytes; leave `documents` out"},
               {"ab\ncd\nef\ngh\n\n", BPTT_DOCUMENTS_BLANK, "set it to line if each line is a document"}};
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        bptt_trainer_config c = trainer_config("ref", BPTT_F64, row[i].documents);
        bptt_trainer *t = NULL;
        bptt_error e = {0};
        c.batch = 1, c.steps = 3;
        ck_assert_int_eq(bptt_trainer_open(&c, row[i].text, strlen(row[i].text), &t, &e), BPTT_BAD_INPUT);
        CK_TRUE(strstr(e.words, row[i].words), "row %zu: %s", i, e.words);
        ck_assert_ptr_null(t);
    }
}
END_TEST

START_TEST(models_of_dense_input_have_no_documents)
{
    bptt_model_config c = net_config("ref", BPTT_F64, LETTERS, 7, 2);
    bptt_model *m = NULL;
    bptt_error e = {0};
    c.input = 3, c.documents = BPTT_DOCUMENTS_LINE;
    ck_assert_int_eq(bptt_model_open(&c, &m, &e), BPTT_BAD_CONFIG);
    CK_TRUE(strstr(e.words, "`documents`"), "%s", e.words);
}
END_TEST

// ---- samples ------------------------------------------------------------------------------------

// Log-probabilities after text [n], all of it fed to a plain model by hand, from the last separator in it on.
static void fed_by_hand(bptt_model *plain, bptt_documents d, const char *text, size_t n, float *logp)
{
    bptt_run *r = run_on(plain, (bptt_run_config){.batch = 1, .steps = 1});
    size_t from = 0;
    for (size_t end = 0; d != BPTT_DOCUMENTS_NONE && end < n; end = end_by_hand(d, text, n, end))
        if (end > 0) from = end - 1;
    if (d != BPTT_DOCUMENTS_NONE && bptt_ends_document(d, text, n - 1)) from = n - 1;
    for (size_t i = from; i < n; i++) CK_OK(bptt_run_next(r, &(int32_t){token_at(text, i)}, logp, NULL));
    bptt_run_close(r);
}

START_TEST(a_sampler_starts_anew_at_each_document)
{
    static const char *const prime[] = {"", "abc", "ab\n\ncd"};
    for (bptt_documents d = BPTT_DOCUMENTS_NONE; d <= BPTT_DOCUMENTS_BLANK; d++)
        for (size_t k = 0; k < 3; k++) {
            bptt_model *m = model_of(d), *plain = model_of(BPTT_DOCUMENTS_NONE);
            const bool first = d != BPTT_DOCUMENTS_NONE || k == 0; // a newline starts the first document
            sampler s;
            char text[400] = "\n";
            float want[LETTERS];
            uint64_t random = 9;
            size_t n = first, ends = 0;
            CK_OK(sampler_open(&s, m, NULL));
            CK_OK(sampler_prime(&s, prime[k], strlen(prime[k]), NULL));
            memcpy(text + n, prime[k], strlen(prime[k]));
            for (n += strlen(prime[k]); n < 360; n++) {
                fed_by_hand(plain, d, text, n, want);
                CK_TRUE(memcmp(s.logp, want, sizeof want) == 0, "documents %d, prime %zu, byte %zu", (int)d, k, n);
                unsigned char byte;
                CK_OK(sampler_draw(&s, 5, &random, &byte, NULL));
                text[n] = (char)byte;
                ck_assert(sampler_at_end(&s) == (bptt_ends_document(d, text, n) != 0));
                ends += sampler_at_end(&s);
            }
            ck_assert(d == BPTT_DOCUMENTS_NONE ? ends == 0 : ends > 0);
            sampler_close(&s);
            bptt_model_close(m), bptt_model_close(plain);
        }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_document_ends_where_the_header_says);
    tcase_add_test(c, the_score_of_a_text_is_the_sum_of_its_documents_alone);
    tcase_add_test(c, a_text_of_one_document_has_the_score_of_a_plain_model);
    tcase_add_test(c, the_gradient_of_an_update_is_that_of_its_documents_alone);
    tcase_add_test(c, an_update_is_that_of_windows_with_keep_by_hand);
    tcase_add_test(c, the_order_of_documents_in_a_window_does_not_matter);
    tcase_add_test(c, the_trainer_counts_the_documents_it_trains_on);
    tcase_add_test(c, a_text_that_is_one_document_is_refused_in_words);
    tcase_add_test(c, models_of_dense_input_have_no_documents);
    tcase_add_test(c, a_sampler_starts_anew_at_each_document);
}

int main(void) { return run_suite("documents", add, 60); }
