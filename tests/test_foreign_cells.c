// Files with just PyTorch's tensors, of every cell: cell, sizes and number of biases follow from names and shapes; loss
// and the first update are PyTorch's (tests/data/oracles.json). Files whose tensors do not fit are refused.
#include "backend.h"
#include "nets.h"
#include "oracle_file.h"
#include "st_file.h"

enum { V = 7, H = 4, B = 3, T = 6, MOST_TENSORS = 16, MOST = 6 * H * V };

// The tensors of a file and their numbers.
typedef struct foreign {
    size_t n;
    st_tensor tensor[MOST_TENSORS];
    double x[MOST_TENSORS][MOST];
} foreign;

static size_t numbers(const st_tensor *t) { return (size_t)t->shape[0] * (t->rank == 2 ? (size_t)t->shape[1] : 1); }

static double *add_tensor(foreign *f, const char *name, int rank, size_t rows, size_t cols)
{
    st_tensor *t = &f->tensor[f->n];
    *t = (st_tensor){.dtype = ST_F64, .rank = rank, .shape = {rows, cols}};
    snprintf(t->name, sizeof t->name, "%s", name);
    ck_assert(f->n < MOST_TENSORS && numbers(t) <= MOST);
    return f->x[f->n++];
}

static st_tensor *tensor_of(foreign *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->tensor[i].name, name) == 0) return &f->tensor[i];
    ck_abort_msg("the file has no %s", name);
    return NULL;
}

static double *numbers_of(foreign *f, const char *name) { return f->x[tensor_of(f, name) - f->tensor]; }

static const char *net_name(bptt_cell cell, size_t layers, char out[32])
{
    snprintf(out, 32, "%s_L%u", bptt_cell_row_of(cell)->word, (unsigned)layers);
    return out;
}

// The net of the oracles as PyTorch's state_dict: with one trained bias, bias_hh is zero but for bias_hn.
static void fill(foreign *f, const oracle_file *o, bptt_cell cell, size_t layers)
{
    char group[32], before[64];
    snprintf(before, sizeof before, "%s.params.", net_name(cell, layers, group));
    memset(f, 0, sizeof *f);
    for (size_t i = 0; i < o->n; i++) {
        const oracle *p = &o->at[i];
        if (strncmp(p->name, before, strlen(before)) != 0) continue;
        const char *name = p->name + strlen(before);
        const bool part = strstr(name, "bias_hn") && cell == BPTT_GRU;
        const size_t zeros = part ? 2 * H : 0;
        const int rank = strstr(name, "bias") ? 1 : 2;
        const size_t cols = rank == 1 ? 1 : strstr(name, "weight_ih_l0") ? V : H;
        double *x = add_tensor(f, part ? "rnn.bias_hh_l0" : name, rank, zeros + p->n / cols, cols);
        memcpy(x + zeros, p->x, p->n * sizeof *x);
    }
    const bool pads = layers == 1 && (cell == BPTT_TANH || cell == BPTT_RELU || cell == BPTT_LSTM);
    if (pads) (void)add_tensor(f, "rnn.bias_hh_l0", 1, cell == BPTT_LSTM ? 4 * H : H, 1);
}

// The file with this cell in its metadata; NULL: without.
static void put(const foreign *f, const char *cell)
{
    const st_pair pair[] = {{"format", "pt"}, {"cell", cell}};
    st_writer *w = NULL;
    unlink(path);
    CK_OK(st_write_open(path, f->tensor, f->n, pair, cell ? 2 : 1, &w, NULL));
    for (size_t i = 0; i < f->n; i++) CK_OK(st_write(w, f->x[i], numbers(&f->tensor[i]) * sizeof(double), NULL));
    CK_OK(st_write_commit(w, NULL));
}

static bptt_model *loaded(bptt_cell cell)
{
    bptt_model_config c;
    bptt_model *m = NULL;
    bptt_error e = {0};
    bptt_model_defaults(&c);
    c.compute.backend = "ref", c.type = BPTT_F64, c.cell = cell; // used where the shapes do not tell
    CK_TRUE(bptt_model_load(path, &c, &m, &e) == BPTT_OK, "%s", e.words);
    return m;
}

static void refused_with(const foreign *f, const char *cell, const char *words)
{
    bptt_model *m = NULL;
    bptt_error e = {0};
    put(f, cell);
    ck_assert_msg(bptt_model_load(path, NULL, &m, &e) == BPTT_BAD_FILE && !m, "not refused with '%s'", words);
    CK_TRUE(strstr(e.words, words), "'%s' does not say '%s'", e.words, words);
}

static int biases_of(bptt_model *m)
{
    bptt_model_config c;
    bptt_model_get_config(m, &c);
    return c.biases;
}

// ---- files that fit -------------------------------------------------------------------------------------------------

// Loss and gradients of m are the oracle's, and its update is Adam's first. (The norm is below the clip of the model.)
static void trains_as(bptt_model *m, const oracle_file *o, const char *group, size_t states, size_t layers)
{
    int32_t token[T * B], target[T * B];
    const double *x = oracle_get(o, group, "token", T * B), *y = oracle_get(o, group, "target", T * B);
    for (size_t i = 0; i < T * B; i++) token[i] = (int32_t)x[i], target[i] = (int32_t)y[i];
    const bptt_window w = {.size = sizeof w, .token = token, .target = target};
    bptt_run *r = run_on(m, (bptt_run_config){.batch = B, .steps = T, .gradient = 1});
    bptt_report report;
    CK_OK(bptt_run_write_state(r, oracle_get(o, group, "state", layers * B * states * H), BPTT_F64, NULL));
    CK_OK(bptt_run_train(r, &w, 2e-3, &report, NULL));
    CK_NEAR(near_scaled(&report.loss, oracle_get(o, group, "loss", 1), 1, 1e-12), group);
    for (size_t i = 0; i < bptt_model_tensors(m); i++) {
        bptt_tensor t;
        double got[MOST];
        char name[64];
        CK_OK(bptt_model_tensor(m, i, &t, NULL));
        const size_t n = t.rows * t.cols;
        snprintf(name, sizeof name, "grads.%s", t.name);
        const double *g = oracle_get(o, group, name, n);
        snprintf(name, sizeof name, "params.%s", t.name);
        const double *w0 = oracle_get(o, group, name, n);
        CK_OK(bptt_model_read(m, BPTT_GRADIENT, i, got, BPTT_F64, NULL));
        CK_NEAR(near_scaled(got, g, n, 1e-12), name);
        CK_OK(bptt_model_read(m, BPTT_WEIGHTS, i, got, BPTT_F64, NULL));
        for (size_t k = 0; k < n; k++)
            CK_TRUE(fabs(got[k] - (w0[k] - 2e-3 * g[k] / (fabs(g[k]) + 1e-8))) < 1e-10, "%s moves wrongly", name);
    }
    bptt_run_close(r);
}

// Named and not named; cells that PyTorch does not have must be named.
START_TEST(a_file_of_any_cell_is_the_net_that_pytorch_saved_and_can_be_trained)
{
    oracle_file o;
    oracle_open(&o);
    make_folder();
    for (size_t k = 0; k < bptt_cells; k++)
        for (size_t layers = 1; layers <= 2; layers++) {
            const bptt_cell cell = (bptt_cell)k;
            const bptt_cell_row *row = bptt_cell_row_of(cell);
            const bool pytorchs = cell <= BPTT_LSTM;
            char group[32];
            foreign f;
            fill(&f, &o, cell, layers);
            for (int named = !pytorchs; named <= 1; named++) {
                put(&f, named ? row->word : NULL);
                bptt_model *m = loaded(bptt_cell_is_gated(cell) || named ? BPTT_TANH : cell);
                bptt_model_config c;
                bptt_model_get_config(m, &c);
                CK_TRUE(c.cell == cell && c.hidden == H && c.vocab == V && c.layers == layers && c.input == 0,
                        "%s: cell %d, H %zu, V %zu, L %zu, input %zu", net_name(cell, layers, group), (int)c.cell,
                        c.hidden, c.vocab, c.layers, c.input);
                ck_assert_int_eq(bptt_model_cell_assumed(m), !named && !bptt_cell_is_gated(cell));
                if (cell != BPTT_MINGRU) ck_assert_int_eq(c.biases, (int)layers);
                trains_as(m, &o, net_name(cell, layers, group), row->states, layers);
                bptt_model_close(m);
            }
            if (!pytorchs) refused_with(&f, NULL, cell == BPTT_MINGRU ? "not a recurrent model" : "no known cell");
        }
    remove_folder();
    oracle_close(&o);
}
END_TEST

START_TEST(a_file_has_two_biases_if_bias_hh_has_a_number_where_one_bias_has_none)
{
    static const struct {
        bptt_cell cell;
        size_t at; // element of bias_hh_l0 that is not zero
        int biases;
    } tried[] = {{BPTT_TANH, 0, 2},        {BPTT_LSTM, 0, 2},    {BPTT_LSTM, 4 * H - 1, 2}, {BPTT_GRU, 0, 2},
                 {BPTT_GRU, 2 * H - 1, 2}, {BPTT_GRU, 2 * H, 1}, {BPTT_GRU, 3 * H - 1, 1}};
    oracle_file o;
    oracle_open(&o);
    make_folder();
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        foreign f;
        fill(&f, &o, tried[i].cell, 1);
        numbers_of(&f, "rnn.bias_hh_l0")[tried[i].at] = 0x1p-1060; // denormal
        put(&f, NULL);
        bptt_model *m = loaded(tried[i].cell);
        CK_TRUE(biases_of(m) == tried[i].biases, "case %zu: %d biases", i, biases_of(m));
        bptt_model_close(m);
    }
    remove_folder();
    oracle_close(&o);
}
END_TEST

// A layer without bias_hh has one bias; a GRU's holds bias_hn and cannot be missing.
START_TEST(a_file_without_bias_hh_has_one_bias)
{
    oracle_file o;
    oracle_open(&o);
    make_folder();
    for (bptt_cell cell = BPTT_TANH; cell <= BPTT_LSTM; cell++) {
        foreign f;
        fill(&f, &o, cell, 1);
        snprintf(tensor_of(&f, "rnn.bias_hh_l0")->name, sizeof f.tensor[0].name, "other");
        if (cell == BPTT_GRU) {
            refused_with(&f, NULL, "the file has no tensor rnn.bias_hh_l0");
            continue;
        }
        put(&f, NULL);
        bptt_model *m = loaded(cell);
        ck_assert_int_eq(biases_of(m), 1);
        bptt_model_close(m);
    }
    remove_folder();
    oracle_close(&o);
}
END_TEST

// ---- files that do not ----------------------------------------------------------------------------------------------

START_TEST(shapes_that_do_not_fit_each_other_are_refused)
{
    static const struct {
        bptt_cell cell;
        size_t layers;
        const char *named, *tensor; // tensor NULL: all are as they should be
        size_t rows, cols;
        const char *words;
    } tried[] = {
        {BPTT_LSTM, 1, NULL, "rnn.weight_hh_l0", 3 * H, H, "rnn.weight_hh_l0 12 x 4: no known cell"},
        {BPTT_GRU, 1, NULL, "rnn.weight_hh_l0", 4 * H, H, "rnn.weight_ih_l0 has 12 rows"},
        {BPTT_GRU, 1, NULL, "rnn.weight_ih_l0", 4 * H, V, "rnn.weight_ih_l0 has 16 rows"},
        {BPTT_LSTM, 1, NULL, "rnn.weight_hh_l0", 4 * H, H - 1, "16 x 3: no known cell"},
        {BPTT_LSTM, 1, NULL, "rnn.weight_ih_l0", 0, V, "has 0 rows"},
        {BPTT_LSTM, 1, NULL, "decoder.weight", V, 2 * H, "decoder.weight has 8 columns"},
        {BPTT_GRU, 2, NULL, "rnn.weight_hh_l1", 4 * H, H, "rnn.weight_hh_l1 does not have the shape [12, 4]"},
        {BPTT_LSTM, 2, NULL, "rnn.weight_ih_l1", 4 * H, V, "rnn.weight_ih_l1 does not have the shape [16, 4]"},
        {BPTT_LSTM, 1, NULL, "rnn.bias_ih_l0", 3 * H, 1, "rnn.bias_ih_l0 does not have the shape [16]"},
        {BPTT_LSTM, 1, NULL, "rnn.bias_hh_l0", 3 * H, 1, "rnn.bias_hh_l0 does not have the shape [16]"},
        {BPTT_GRU, 1, NULL, "rnn.bias_hh_l0", H, 1, "rnn.bias_hh_l0 does not have the shape [12]"},
        {BPTT_GRU, 2, NULL, "rnn.bias_hh_l1", 4 * H, 1, "rnn.bias_hh_l1 does not have the shape [12]"},
        {BPTT_LSTM, 1, "gru", NULL, 0, 0, "does not have the shape [12"},
        {BPTT_GRU, 1, "lstm", NULL, 0, 0, "does not have the shape [16"},
        {BPTT_TANH, 1, "gru", NULL, 0, 0, "does not have the shape [12"},
        {BPTT_GRU, 2, "gru-before", NULL, 0, 0, "rnn.weight_hh_l0 does not have the shape [8, 4]"},
        {BPTT_GRU_BEFORE, 2, "gru", NULL, 0, 0, "rnn.weight_hh_l0 does not have the shape [12, 4]"},
        {BPTT_MLSTM, 2, "lstm", NULL, 0, 0, "does not have the shape [16"},
        {BPTT_LSTM, 2, "mlstm", NULL, 0, 0, "does not have the shape [20"},
        {BPTT_GRU, 1, "mingru", NULL, 0, 0, "does not have the shape [8"},
    };
    oracle_file o;
    oracle_open(&o);
    make_folder();
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        foreign f;
        fill(&f, &o, tried[i].cell, tried[i].layers);
        if (tried[i].tensor) {
            st_tensor *t = tensor_of(&f, tried[i].tensor);
            t->shape[0] = tried[i].rows, t->shape[1] = tried[i].cols;
        }
        refused_with(&f, tried[i].named, tried[i].words);
    }
    remove_folder();
    oracle_close(&o);
}
END_TEST

START_TEST(tensors_that_are_missing_or_left_over_are_refused_by_name)
{
    static const struct {
        const char *tensor, *renamed, *words;
    } tried[] = {
        {"rnn.weight_ih_l0", "rnn.weight_ih", "not a recurrent model"},
        {"rnn.weight_hh_l0", "rnn.weight_hh", "not a recurrent model"},
        {"decoder.weight", "fc.weight", "not a recurrent model"},
        {"decoder.bias", "fc.bias", "the file has no tensor decoder.bias"},
        {"rnn.bias_ih_l1", "bias_ih_l1", "the file has no tensor rnn.bias_ih_l1"},
        {"rnn.bias_hh_l1", "bias_hh_l1", "the file has no tensor rnn.bias_hh_l1"},
        {"rnn.weight_hh_l1", "weight_hh_l1", "the file has no tensor rnn.weight_hh_l1"},
        {"rnn.weight_ih_l1", "rnn.weight_ih_l2", "the file has the tensor rnn."},
        {"rnn.bias_hh_l1", "rnn.bias_hh_l0_reverse", "the file has no tensor rnn.bias_hh_l1"},
        {"", "rnn.weight_ih_l0_reverse", "rnn.weight_ih_l0_reverse, which is not one of 2 layers of cell "},
        {"", "rnn.weight_hr_l0", "rnn.weight_hr_l0, which is not"},
        {"", "decoder.scale", "decoder.scale, which is not"},
        {"", "encoder.weight", "embedding"},
    };
    oracle_file o;
    oracle_open(&o);
    make_folder();
    for (bptt_cell cell = BPTT_GRU; cell <= BPTT_LSTM; cell++)
        for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
            foreign f;
            fill(&f, &o, cell, 2);
            if (!*tried[i].tensor) (void)add_tensor(&f, tried[i].renamed, 2, 3, 2);
            st_tensor *t = tensor_of(&f, *tried[i].tensor ? tried[i].tensor : tried[i].renamed);
            snprintf(t->name, sizeof t->name, "%s", tried[i].renamed);
            refused_with(&f, NULL, tried[i].words);
        }
    remove_folder();
    oracle_close(&o);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_file_of_any_cell_is_the_net_that_pytorch_saved_and_can_be_trained);
    tcase_add_test(c, a_file_has_two_biases_if_bias_hh_has_a_number_where_one_bias_has_none);
    tcase_add_test(c, a_file_without_bias_hh_has_one_bias);
    tcase_add_test(c, shapes_that_do_not_fit_each_other_are_refused);
    tcase_add_test(c, tensors_that_are_missing_or_left_over_are_refused_by_name);
}

int main(void) { return run_suite("foreign_cells", add, 30); }
