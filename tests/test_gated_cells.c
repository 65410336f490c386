// Initial weights of gated cells, in the rows of a file.
#include "backend.h"
#include "nets.h"
#include "suite.h"

// The blocks of rows of bias_ih, one letter a block; the forget gate is f.
static const struct {
    bptt_cell cell;
    const char *word, *blocks;
} CELL[] = {
    {BPTT_GRU, "gru", "rzn"},
    {BPTT_LSTM, "lstm", "ifgo"},
    {BPTT_MLSTM, "mlstm", "mifgo"},
    {BPTT_MINGRU, "mingru", "zn"},
    {BPTT_GRU_BEFORE, "gru-before", "rzn"},
};
enum { CELLS = sizeof CELL / sizeof CELL[0], H = 7, L = 2 };

static bptt_model *open_cell(bptt_cell cell, bptt_init init)
{
    bptt_model_config c;
    bptt_model *m = NULL;
    bptt_model_defaults(&c);
    c.vocab = 5, c.hidden = H, c.layers = L, c.biases = 2, c.cell = cell, c.init = init;
    c.compute.backend = "ref";
    CK_OK(bptt_model_open(&c, &m, NULL));
    return m;
}

static size_t tensor_named(const bptt_model *m, const char *kind, size_t l, bptt_tensor *t)
{
    char name[48];
    snprintf(name, sizeof name, "rnn.%s_l%zu", kind, l);
    for (size_t i = 0; i < bptt_model_tensors(m); i++) {
        CK_OK(bptt_model_tensor(m, i, t, NULL));
        if (strcmp(t->name, name) == 0) return i;
    }
    return SIZE_MAX;
}

START_TEST(the_bias_of_a_forget_gate_starts_as_one_and_all_others_as_zero)
{
    for (size_t i = 0; i < CELLS; i++)
        for (size_t l = 0; l < L; l++) {
            bptt_model *m = open_cell(CELL[i].cell, BPTT_INIT_REFERENCE);
            bptt_tensor t;
            double x[8 * H];
            const size_t first = tensor_named(m, "bias_ih", l, &t);
            CK_TRUE(t.rows == H * strlen(CELL[i].blocks), "%s has %zu rows", CELL[i].word, t.rows);
            CK_OK(bptt_model_read(m, BPTT_WEIGHTS, first, x, BPTT_F64, NULL));
            for (size_t k = 0; k < t.rows; k++)
                CK_TRUE(x[k] == (CELL[i].blocks[k / H] == 'f'), "%s: row %zu is %g", CELL[i].word, k, x[k]);
            const size_t second = tensor_named(m, "bias_hh", l, &t);
            if (second != SIZE_MAX) CK_OK(bptt_model_read(m, BPTT_WEIGHTS, second, x, BPTT_F64, NULL));
            for (size_t k = 0; second != SIZE_MAX && k < t.rows; k++)
                CK_TRUE(x[k] == 0, "%s: bias_hh %zu is %g", CELL[i].word, k, x[k]);
            bptt_model_close(m);
        }
}
END_TEST

START_TEST(with_uniform_weights_no_bias_is_one)
{
    for (size_t i = 0; i < CELLS; i++) {
        bptt_model *m = open_cell(CELL[i].cell, BPTT_INIT_UNIFORM);
        bptt_tensor t;
        double x[8 * H];
        CK_OK(bptt_model_read(m, BPTT_WEIGHTS, tensor_named(m, "bias_ih", 1, &t), x, BPTT_F64, NULL));
        for (size_t k = 0; k < t.rows; k++)
            CK_TRUE(fabs(x[k]) < 0.38 && x[k] != 0, "%s: row %zu is %g", CELL[i].word, k, x[k]); // 1 / sqrt 7
        bptt_model_close(m);
    }
}
END_TEST

START_TEST(the_list_has_every_gated_cell)
{
    ck_assert_uint_eq(CELLS, bptt_cells - BPTT_PLAIN_CELLS);
    for (size_t i = 0; i < CELLS; i++) ck_assert_str_eq(bptt_cell_row_of(CELL[i].cell)->word, CELL[i].word);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, the_bias_of_a_forget_gate_starts_as_one_and_all_others_as_zero);
    tcase_add_test(c, with_uniform_weights_no_bias_is_one);
    tcase_add_test(c, the_list_has_every_gated_cell);
}

int main(void) { return run_suite("gated cells", add, 60); }
