// The stand-in's modules and kernels: which operands a kernel reads and writes, what it needs of their shapes, and how
// it runs as host C.
#include "standin.h"

#include "half.h"
#include "host_kernels.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Of each operand. Roles: r read, w written, + both; b: written, and read if op_constants.beta; g: read, and written if
// op_constants.gradient; capital: may be absent. Shapes: o at least the output's rows and columns, c its rows, 1 its
// columns, . what special() says. out: the output.
static const struct {
    const char *name, *roles, *shapes;
    unsigned out;
    const char *operands;
} facts[] = {
    {"copy", "rw", "oo", 1, "x y"},
    {"fill", "w", "o", 0, "y"},
    {"gemm", "rrb", "c1o", 2, "a b c"},
    {"gather", "rrb", "c1o", 2, "id w z"},
    {"scatter", "rrb", ".1o", 2, "id dz dw"},
    {"scale_rows", "rrb", "coo", 2, "k x y"},
    {"cell_forward", "rRRw", "o11o", 3, "z b b2 h"},
    {"cell_backward", "rrw", "ooo", 2, "y dy dz"},
    {"gates_forward", "+RRrw", "c..oo", 4, "z b b2 before after"},
    {"gates_backward", "+rrr+", "coooo", 2, "z before after dafter dbefore"},
    {"mix", "+rw", "coo", 2, "z h u"},
    {"mix_backward", "+rr+", "cooo", 2, "z h du dh"},
    {"colsum_chunks", "rw", "1o", 1, "dz part"},
    {"colsum", "rb", "1o", 1, "part db"},
    {"add_row", "r+", "1o", 1, "b x"},
    {"softmax_xent", "rrgw", "ccoc", 2, "id k x loss"},
    {"dense_loss", "rrgw", "ococ", 2, "y k x loss"},
    {"log_softmax", "+", "o", 0, "x"},
    {"sum_chunks", "rw", "co", 1, "x out"},
    {"sumsq_chunks", "rw", "co", 1, "x out"},
    {"sum", "rb", "co", 1, "x out"},
    {"update", "+rMMr", "oooo.", 0, "w g m v stat"},
    {"guard", "+", ".", 0, "stat"},
    {"cast", "rwR", "oo.", 1, "x y scale"},
    {"cell_forward_cast", "rRRww", "o11oo", 3, "z b b2 h y"},
    {"cell_backward_cast", "rrwwR", "oooo.", 2, "y dy dz x scale"},
    {"scatter_sorted", "rrrb", "..1o", 3, "order start dz dw"},
    {"rescale", "++", "..", 0, "stat scale"},
    {"invert", "rw", "..", 1, "scale per"},
};
_Static_assert(sizeof facts / sizeof facts[0] == ALL_KERNELS, "every kernel has a row, in the order of launch.h");

static bool is_kernel(unsigned kernel, const char *name) { return strcmp(facts[kernel].name, name) == 0; }

// ---- shapes ---------------------------------------------------------------------------------------------------------

static bool shape_fits(char shape, const view *v, const view *out)
{
    const bool rows = v->rows >= out->rows, cols = v->cols >= out->cols;
    return shape == 'o' ? rows && cols : shape == 'c' ? rows && v->cols : shape == '1' ? cols && v->rows : true;
}

// Checks that the table of facts cannot express. Returns NULL or the complaint.
static const char *special(const standin_kernel *s)
{
    const unsigned kernel = s->kernel;
    const view *v = s->at;
    if (is_kernel(kernel, "gemm") && v[1].rows < v[0].cols) return "b has fewer rows than a columns";
    if (is_kernel(kernel, "scatter") && v[0].rows < v[1].rows) return "id is shorter than dz";
    if (is_kernel(kernel, "scatter_sorted") && v[1].rows <= v[3].rows) return "start is not longer than dw";
    if (is_kernel(kernel, "colsum_chunks") && (uint64_t)v[1].rows * COLSUM_ROWS < v[0].rows) return "part is too short";
    const bool chunks = is_kernel(kernel, "sum_chunks") || is_kernel(kernel, "sumsq_chunks");
    if (chunks && v[1].cols != (v[0].cols + SUM_PIECE - 1) / SUM_PIECE) return "out has not a column for each piece";
    if (is_kernel(kernel, "update")) {
        if (!v[2].rows && s->k.optimizer != 1) return "m is absent";
        if (!v[3].rows && s->k.optimizer != 0) return "v is absent";
        if (v[4].cols < 3) return "stat is too short";
    }
    if (is_kernel(kernel, "guard") && v[0].cols < 3) return "stat is too short";
    if (is_kernel(kernel, "rescale") && (v[0].cols < 4 || v[1].cols < 2)) return "stat or scale is too short";
    if (is_kernel(kernel, "invert") && v[1].cols < 2) return "per is too short";
    const bool half = strchr(kernel_table[kernel].types, 'h') != NULL;
    if (half && s->k.half_kind != HALF_BF16 && s->k.half_kind != HALF_FP16) return "half_kind names no type";
    return NULL;
}

// The n-th operand's name; see the table of names below.
static const char *operand_name(unsigned kernel, size_t n)
{
    static char names[ALL_KERNELS][BPTT_OPERANDS][8];
    char *name = names[kernel][n];
    const char *at = facts[kernel].operands;
    for (size_t i = 0; i < n; i++) at = strchr(at, ' ') + 1;
    snprintf(name, sizeof names[0][0], "%.*s", (int)strcspn(at, " "), at);
    return name;
}

// ---- a launch as an operation ---------------------------------------------------------------------------------------

static void add_area(standin_op *op, size_t i, char type)
{
    standin_kernel *s = &op->as.kernel;
    view *v = &s->at[i];
    const uint64_t size = type == 'h' ? 2 : 4;
    const char role = facts[s->kernel].roles[i];
    s->buffer[i] += v->at * size; // modulo 2^64
    v->at = 0;
    op->area[op->areas++] = (standin_area){.at = s->buffer[i],
                                           .rows = v->rows,
                                           .cols = v->cols,
                                           .down = v->down * size,
                                           .across = v->across * size,
                                           .size = size,
                                           .read = role != 'w' && !(role == 'b' && !s->k.beta),
                                           .written = strchr("w+bM", role) || (role == 'g' && s->k.gradient),
                                           .name = operand_name(s->kernel, i)};
    if (s->buffer[i] % size) standin_die("%s: %s is at an odd address", op->words, operand_name(s->kernel, i));
}

// Indices that choose elements are in range.
static void check_ids(const standin_op *op, size_t operand, const view *v, uint64_t end)
{
    const char *first = standin_host(op->as.kernel.buffer[operand], 4);
    for (uint64_t i = 0; i < v->rows; i++) {
        int id;
        memcpy(&id, first + 4 * i * v->down, sizeof id);
        if (id < 0 || (uint64_t)id >= end)
            standin_die("%s: %s: row %" PRIu64 " holds %d, and there are %" PRIu64, op->words,
                        operand_name(op->as.kernel.kernel, operand), i, id, end);
    }
}

static void run_kernel(const standin_op *op)
{
    const standin_kernel *s = &op->as.kernel;
    const char *types = kernel_table[s->kernel].types;
    void *data[BPTT_OPERANDS] = {NULL};
    for (size_t i = 0; types[i]; i++)
        if (s->at[i].rows && s->at[i].cols) data[i] = standin_host(s->buffer[i], 1);
    if (is_kernel(s->kernel, "gather")) check_ids(op, 0, &s->at[0], s->at[1].rows);
    if (is_kernel(s->kernel, "softmax_xent")) check_ids(op, 0, &s->at[0], s->at[2].cols);
    if (is_kernel(s->kernel, "scatter_sorted")) {
        check_ids(op, 0, &s->at[0], s->at[2].rows);
        check_ids(op, 1, &s->at[1], (uint64_t)s->at[0].rows + 1);
    }
    float slots[SLOTS] = {0};
    if (s->slots) memcpy(slots, standin_host(s->slots, sizeof slots), sizeof slots);
    const work_item one = {.columns = 1, .rows = 1, .groups = 1, .lanes = 1};
    host_kernel_run(s->kernel, &one, data, s->at, &s->k, slots);
}

static void describe(standin_op *op)
{
    const standin_kernel *s = &op->as.kernel;
    const char *types = kernel_table[s->kernel].types;
    size_t n = (size_t)snprintf(op->words, sizeof op->words, "%s", facts[s->kernel].name);
    for (size_t i = 0; types[i] && n < sizeof op->words; i++)
        n += (size_t)snprintf(op->words + n, sizeof op->words - n, " %ux%u", s->at[i].rows, s->at[i].cols);
}

// arguments: for each operand its buffer and view, then op_constants, then slots.
cu_result standin_kernel_op(unsigned kernel, void **arguments, standin_op *op)
{
    const char *types = kernel_table[kernel].types, *roles = facts[kernel].roles;
    if (host_kernel_named(facts[kernel].name) != kernel) standin_die("%s stands in the wrong row", facts[kernel].name);
    *op = (standin_op){.run = run_kernel, .as = {.kernel = {.kernel = kernel}}};
    standin_kernel *s = &op->as.kernel;
    size_t n = 0;
    for (size_t i = 0; types[i]; i++, n += 2) {
        memcpy(&s->buffer[i], arguments[n], sizeof s->buffer[i]);
        memcpy(&s->at[i], arguments[n + 1], sizeof s->at[i]);
    }
    memcpy(&s->k, arguments[n], sizeof s->k);
    memcpy(&s->slots, arguments[n + 1], sizeof s->slots);
    describe(op);
    const view *out = &s->at[facts[kernel].out];
    for (size_t i = 0; types[i]; i++) {
        const bool present = s->at[i].rows && s->at[i].cols, optional = roles[i] == 'R' || roles[i] == 'M';
        if (!present && s->at[i].rows) continue; // of no elements
        if (!present && !optional) standin_die("%s: %s is absent", op->words, operand_name(kernel, i));
        if (present && !shape_fits(facts[kernel].shapes[i], &s->at[i], out))
            standin_die("%s: %s is too small", op->words, operand_name(kernel, i));
        if (present) add_area(op, i, types[i]);
    }
    const char *wrong = special(s);
    if (wrong) standin_die("%s: %s", op->words, wrong);
    if (!is_kernel(kernel, "update") && !is_kernel(kernel, "softmax_xent") && !is_kernel(kernel, "dense_loss"))
        s->slots = 0; // read by no other
    else
        op->area[op->areas++] = (standin_area){s->slots, 1, SLOTS, 0, 4, 4, true, false, "slots"};
    return 0;
}
