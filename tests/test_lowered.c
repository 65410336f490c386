// The kernels of lowerings (device/kernels_lowered.h) as host C: each gives to the last bit what the entries it stands
// for give, any grid of work-items too, and touches nothing around its outputs.
#include "half_reference.h"
#include "host_kernels.h"
#include "near.h"
#include "suite.h"

#include "half.h"

// ---- operands -------------------------------------------------------------------------------------------------------

enum { EDGE = 5, CANARY = 0x5a, MOST = 5 };

// A matrix in memory of its own: EDGE elements of nothing before and after it, rows farther apart than they are long.
typedef struct field {
    unsigned char *bytes;
    size_t n, size; // elements, bytes of one
    view at;
} field;

static field field_make(char type, size_t rows, size_t cols, size_t gap)
{
    const size_t ld = cols + gap, n = rows * ld + 2 * EDGE, size = type == 'h' ? sizeof(half_bits) : sizeof(float);
    field f = {must_alloc(n, size), n, size, {EDGE, (count)rows, (count)cols, (count)ld, 1}};
    memset(f.bytes, CANARY, n * size);
    return f;
}

static void *element(const field *f, size_t i, size_t j)
{
    return f->bytes + (f->at.at + i * f->at.down + j * f->at.across) * f->size;
}

static float *real(const field *f, size_t i, size_t j) { return element(f, i, j); }
static int *whole(const field *f, size_t i, size_t j) { return element(f, i, j); }
static unsigned half(const field *f, size_t i, size_t j) { return *(half_bits *)element(f, i, j); }

static field field_random(uint64_t *random, size_t rows, size_t cols, size_t gap)
{
    field f = field_make('f', rows, cols, gap);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < cols; j++) *real(&f, i, j) = (float)(4 * random_real(random));
    return f;
}

static field field_copy(const field *f)
{
    field c = *f;
    c.bytes = must_alloc(f->n, f->size);
    memcpy(c.bytes, f->bytes, f->n * f->size);
    return c;
}

// Transposed view: element (i, j) of the result is (j, i) of f's memory.
static field field_across(field f)
{
    f.at = (view){f.at.at, f.at.cols, f.at.rows, f.at.across, f.at.down};
    return f;
}

static bool within(const view *v, size_t n)
{
    const size_t far = v->down >= v->across ? v->down : v->across, at = n - v->at;
    const size_t rows = v->down >= v->across ? v->rows : v->cols, cols = v->down >= v->across ? v->cols : v->rows;
    return n >= v->at && at / far < rows && at % far < cols;
}

static bool intact(const field *f)
{
    for (size_t i = 0; i < f->n * f->size; i++)
        if (f->bytes[i] != CANARY && !within(&f->at, i / f->size)) return false;
    return true;
}

// ---- running --------------------------------------------------------------------------------------------------------

typedef struct job {
    const char *name;
    const field *op[MOST]; // NULL: absent
    op_constants k;
} job;

static void run_grid(const job *b, count columns, count rows)
{
    static const float slots[SLOTS] = {[SLOT_PER_WEIGHT] = 0.25f, [SLOT_RATE] = 0.5f, [SLOT_ROOT] = 0.75f};
    void *data[MOST] = {0};
    view at[MOST] = {{0}};
    for (size_t i = 0; i < MOST; i++)
        if (b->op[i]) data[i] = b->op[i]->bytes, at[i] = b->op[i]->at;
    for (count row = rows; row-- > 0;) // the last first: nothing may rest on the order
        for (count column = 0; column < columns; column++) {
            const work_item item = {column, columns, row, rows, row, rows, 0, 1};
            CK_TRUE(host_kernel_call(b->name, &item, data, at, &b->k, slots), "no kernel %s", b->name);
        }
}

// On one work-item, and on grids smaller and larger than the matrices: the same memory afterwards, edges and all.
static void run_job(const job *b)
{
    static const count grid[][2] = {{3, 5}, {128, 1}, {1, 64}, {40, 128}};
    field before[MOST] = {{0}}, after[MOST] = {{0}};
    for (size_t i = 0; i < MOST; i++)
        if (b->op[i]) before[i] = field_copy(b->op[i]);
    run_grid(b, 1, 1);
    for (size_t i = 0; i < MOST; i++)
        if (b->op[i]) after[i] = field_copy(b->op[i]);
    for (size_t g = 0; g < sizeof grid / sizeof *grid; g++) {
        for (size_t i = 0; i < MOST; i++)
            if (b->op[i]) memcpy(b->op[i]->bytes, before[i].bytes, before[i].n * before[i].size);
        run_grid(b, grid[g][0], grid[g][1]);
        for (size_t i = 0; i < MOST; i++) {
            if (!b->op[i]) continue;
            CK_TRUE(memcmp(b->op[i]->bytes, after[i].bytes, after[i].n * after[i].size) == 0,
                    "%s: operand %zu has other bytes on a grid of %u x %u", b->name, i, (unsigned)grid[g][0],
                    (unsigned)grid[g][1]);
            CK_TRUE(intact(b->op[i]), "%s: strays around operand %zu", b->name, i);
        }
    }
    for (size_t i = 0; i < MOST; i++) free(before[i].bytes), free(after[i].bytes);
}

static void same_bits(const char *what, const field *got, const field *want)
{
    CK_TRUE(memcmp(got->bytes, want->bytes, want->n * want->size) == 0, "%s: other bits", what);
}

// y = half(scale x), as the definition says: the product is a float.
static void all_halves(const char *what, const half_kind *k, const field *y, const field *x, float scale)
{
    for (size_t i = 0; i < y->at.rows; i++)
        for (size_t j = 0; j < y->at.cols; j++) {
            const float product = *real(x, i, j) * scale;
            const double want = half_nearest(k, product);
            CK_TRUE(half_is(k, half(y, i, j), want), "%s, %s: element %zu, %zu is %a and should be %a", what, k->name,
                    i, j, half_worth(k, half(y, i, j)), want);
        }
}

static const size_t SIZE[][2] = {{1, 1}, {7, 33}, {33, 7}, {50, 65}, {1, 100}, {100, 1}, {65, 50}};
enum { SIZES = sizeof SIZE / sizeof *SIZE };

// Numbers that a sum of products may come to: far too large, far too small, none.
static void odd_numbers(const field *f)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, -0.0f, 1e-30f, 70000.0f, 3e38f, 0x1.002p-14f, -3e-8f};
    for (size_t n = 0; n < sizeof odd / sizeof *odd; n++) *real(f, n * 5 % f->at.rows, n * 7 % f->at.cols) = odd[n];
}

// ---- cast -----------------------------------------------------------------------------------------------------------

static void cast_one(uint64_t *random, const half_kind *k, size_t rows, size_t cols, float scale, bool across)
{
    field x = across ? field_across(field_random(random, cols, rows, 3)) : field_random(random, rows, cols, 3);
    field y = field_make('h', rows, cols, 8), by = field_make('f', 1, 2, 0);
    *real(&by, 0, 0) = scale, *real(&by, 0, 1) = 77;
    odd_numbers(&x);
    run_job(&(job){"cast", {&x, &y, scale == 1 ? NULL : &by}, {.half_kind = k->kind}});
    all_halves("cast", k, &y, &x, scale);
    free(x.bytes), free(y.bytes), free(by.bytes);
}

START_TEST(a_cast_multiplies_by_the_scale_and_rounds_to_the_nearest)
{
    static const float scale[] = {1, 65536, 0.5f};
    uint64_t random = 5;
    for (size_t i = 0; i < HALF_KINDS; i++)
        for (size_t n = 0; n < SIZES; n++)
            for (size_t s = 0; s < 3; s++)
                cast_one(&random, &HALF_KIND[i], SIZE[n][0], SIZE[n][1], scale[s], (n + s) % 2);
}
END_TEST

// ---- cells ----------------------------------------------------------------------------------------------------------

static void forward_one(uint64_t *random, const half_kind *k, size_t n, int cell, int biases, bool in_place)
{
    const size_t rows = SIZE[n][0], cols = SIZE[n][1];
    field z = field_random(random, rows, cols, 3), b = field_random(random, 1, cols, 0);
    field b2 = field_random(random, 1, cols, 2), h = field_make('f', rows, cols, 3);
    odd_numbers(&z);
    field y = field_make('h', rows, cols, 1), z1 = field_copy(&z), h1 = field_copy(&h);
    const field *first = biases & 1 ? &b : NULL, *second = biases & 2 ? &b2 : NULL;
    const op_constants o = {.cell = cell, .half_kind = k->kind};
    const field *got = in_place ? &z : &h, *want = in_place ? &z1 : &h1;
    run_job(&(job){"cell_forward_cast", {&z, first, second, got, &y}, o});
    run_job(&(job){"cell_forward", {&z1, first, second, want}, o});
    same_bits("cell_forward_cast", got, want);
    same_bits("cell_forward_cast: z", &z, &z1);
    all_halves("cell_forward_cast", k, &y, want, 1);
    field *all[] = {&z, &b, &b2, &h, &y, &z1, &h1};
    for (size_t i = 0; i < 7; i++) free(all[i]->bytes);
}

START_TEST(a_cell_that_casts_gives_the_bits_of_the_cell_and_rounds_them)
{
    uint64_t random = 6;
    for (size_t n = 0; n < SIZES; n++)
        for (int i = 0; i < 32; i++) forward_one(&random, &HALF_KIND[i & 1], n, i >> 1 & 1, i >> 2 & 3, i >> 4);
}
END_TEST

static void backward_one(uint64_t *random, const half_kind *k, size_t n, int cell, float scale, bool in_place)
{
    const size_t rows = SIZE[n][0], cols = SIZE[n][1];
    field y = field_random(random, rows, cols, 3), dy = field_random(random, rows, cols, 2);
    field dz = field_make('f', rows, cols, 2), x = field_make('h', rows, cols, 7), by = field_make('f', 1, 2, 0);
    *real(&by, 0, 0) = scale, *real(&by, 0, 1) = 77;
    odd_numbers(&dy);
    *real(&y, rows / 2, cols / 2) = NAN;
    field dy1 = field_copy(&dy), dz1 = field_copy(&dz);
    const op_constants o = {.cell = cell, .half_kind = k->kind};
    const field *got = in_place ? &dy : &dz, *want = in_place ? &dy1 : &dz1;
    run_job(&(job){"cell_backward_cast", {&y, &dy, got, &x, scale == 1 ? NULL : &by}, o});
    run_job(&(job){"cell_backward", {&y, &dy1, want}, o});
    same_bits("cell_backward_cast", got, want);
    same_bits("cell_backward_cast: dy", &dy, &dy1);
    all_halves("cell_backward_cast", k, &x, want, scale);
    field *all[] = {&y, &dy, &dz, &x, &by, &dy1, &dz1};
    for (size_t i = 0; i < 7; i++) free(all[i]->bytes);
}

START_TEST(a_cell_backwards_that_casts_gives_the_bits_of_the_cell_and_rounds_them_scaled)
{
    uint64_t random = 7;
    for (size_t n = 0; n < SIZES; n++)
        for (int i = 0; i < 16; i++) backward_one(&random, &HALF_KIND[i & 1], n, i >> 1 & 1, i & 4 ? 1 : 1024, i >> 3);
}
END_TEST

// ---- scatter --------------------------------------------------------------------------------------------------------

// Token sort prepared by the host: rows of dz ordered by id, and the start of each id's rows.
static void sorted(const field *id, size_t V, const field *order, const field *start)
{
    int n = 0;
    for (size_t v = 0; v < V; v++) {
        *whole(start, v, 0) = n;
        for (size_t i = 0; i < id->at.rows; i++)
            if (*whole(id, i, 0) == (int)v) *whole(order, (size_t)n++, 0) = (int)i;
    }
    *whole(start, V, 0) = n;
}

static void scatter_one(uint64_t *random, size_t N, size_t V, size_t M, int beta, bool one_id)
{
    field id = field_make('i', N, 1, 1), order = field_make('i', N, 1, 2), start = field_make('i', V + 1, 1, 0);
    field dz = field_random(random, N, M, 4), dw = field_random(random, V, M, 3);
    *real(&dz, N / 2, M / 2) = NAN;
    *real(&dz, N / 3, 0) = -0.0f;
    for (size_t i = 0; i < N; i++) *whole(&id, i, 0) = one_id ? (int)V - 1 : (int)random_below(random, V);
    sorted(&id, V, &order, &start);
    if (!beta) *real(&dw, V / 2, M / 2) = NAN; // to be overwritten
    field dw1 = field_copy(&dw);
    run_job(&(job){"scatter_sorted", {&order, &start, &dz, &dw}, {.beta = beta}});
    run_job(&(job){"scatter", {&id, &dz, &dw1}, {.beta = beta}});
    same_bits("scatter_sorted", &dw, &dw1);
    if (one_id && !beta)
        for (size_t j = 0; j < M && V > 1; j++) CK_TRUE(*real(&dw, 0, j) == 0.0f, "a row without tokens is not 0");
    field *all[] = {&id, &order, &start, &dz, &dw, &dw1};
    for (size_t i = 0; i < 6; i++) free(all[i]->bytes);
}

START_TEST(a_sorted_scatter_gives_the_bits_of_a_scatter)
{
    static const size_t N[] = {1, 7, 50, 100, 650}, V[] = {1, 7, 33, 65}, M[] = {1, 33, 50, 100};
    uint64_t random = 8;
    for (size_t n = 0; n < 5; n++)
        for (size_t v = 0; v < 4; v++)
            for (int i = 0; i < 4; i++) scatter_one(&random, N[n], V[v], M[(n + v) % 4], i & 1, i >> 1);
}
END_TEST

// ---- the loss scale -------------------------------------------------------------------------------------------------

// From {loss, squares, refused, skipped, scale, count} to the last four.
static const struct {
    float from[6], to[4];
    const char *what;
} RESCALE[] = {
    {{1, 2, 0, 0, 1024, 5}, {0, 0, 1024, 6}, "a good window is counted"},
    {{1, 2, 0, 1, 1024, 5}, {0, 0, 1024, 6}, "after a skipped one"},
    {{1, 2, 0, 0, 1024, 1998}, {0, 0, 1024, 1999}, "the last but one"},
    {{1, 2, 0, 0, 1024, 1999}, {0, 0, 2048, 0}, "2000 double the scale"},
    {{1, 2, 0, 0, 0.5f, 1999}, {0, 0, 1, 0}, "a small one too"},
    {{1, 2, 0, 0, 0x1p23f, 1999}, {0, 0, 0x1p24f, 0}, "up to 2^24"},
    {{1, 2, 0, 0, 0x1p24f, 1999}, {0, 0, 0x1p24f, 0}, "and no further"},
    {{1, INFINITY, 0, 0, 1024, 5}, {0, 1, 512, 0}, "a gradient that is not finite halves the scale"},
    {{1, NAN, 0, 0, 2, 1999}, {0, 1, 1, 0}, "nor NaN, down to 1"},
    {{1, NAN, 0, 1, 1024, 5}, {0, 1, 512, 0}, "twice in a row"},
    {{1, INFINITY, 0, 0, 1, 5}, {1, 0, 1, 5}, "below that it is refused"},
    {{1, NAN, 0, 1, 0.25f, 5}, {1, 0, 0.25f, 5}, "far below too"},
    {{NAN, 2, 0, 0, 1024, 5}, {1, 0, 1024, 5}, "a loss that is not finite is refused"},
    {{-INFINITY, NAN, 0, 1, 1024, 1999}, {1, 0, 1024, 1999}, "whatever the gradient is"},
    {{1, 2, 1, 0, 1024, 1999}, {1, 0, 1024, 1999}, "what was refused stays so"},
    {{1, NAN, 1, 1, 1024, 5}, {1, 0, 1024, 5}, "and the scale as it is"},
    {{NAN, 2, 1, 1, 1024, 5}, {1, 0, 1024, 5}, "for any loss"},
};

START_TEST(the_scale_follows_the_windows)
{
    for (size_t n = 0; n < sizeof RESCALE / sizeof *RESCALE; n++) {
        field stat = field_make('f', 1, STATS, 3), scale = field_make('f', 1, 2, 5);
        for (size_t j = 0; j < 4; j++) *real(&stat, 0, j) = RESCALE[n].from[j];
        for (size_t j = 0; j < 2; j++) *real(&scale, 0, j) = RESCALE[n].from[4 + j];
        run_job(&(job){"rescale", {&stat, &scale}, {.half_kind = HALF_FP16}});
        const double got[] = {*real(&stat, 0, 0), *real(&stat, 0, 1),  *real(&stat, 0, 2),
                              *real(&stat, 0, 3), *real(&scale, 0, 0), *real(&scale, 0, 1)};
        double want[6];
        for (size_t j = 0; j < 6; j++) want[j] = j < 2 ? RESCALE[n].from[j] : RESCALE[n].to[j - 2];
        CK_NEAR(near_or_both_nan(got, want, NULL, 6), RESCALE[n].what);
        free(stat.bytes), free(scale.bytes);
    }
}
END_TEST

// ---- names ----------------------------------------------------------------------------------------------------------

START_TEST(every_kernel_has_a_number_and_types_and_no_other_name_has)
{
    for (unsigned k = 0; k < ALL_KERNELS; k++) {
        const char *name = kernel_table[k].name;
        ck_assert_uint_eq(host_kernel_named(name), k);
        ck_assert_uint_le(strlen(kernel_table[k].types), BPTT_OPERANDS);
        ck_assert_uint_eq(strspn(kernel_table[k].types, "fih"), strlen(kernel_table[k].types));
    }
    ck_assert_uint_eq(LOWERED_cast, KERNELS);
    ck_assert_str_eq(kernel_table[LOWERED_rescale].types, "ff");
    ck_assert_uint_eq(host_kernel_named("bptt_copy"), ALL_KERNELS);
    ck_assert(!host_kernel_call("copies", NULL, NULL, NULL, NULL, NULL));
}
END_TEST

// ---- written elements -----------------------------------------------------------------------------------------------

enum { SQUARE = 4 };

// Operand i of a kernel: SQUARE rows of numbers of which every kernel makes others; indices are those of rows.
static field operand_of(uint64_t *random, const char *kernel, size_t i, char type)
{
    const bool is_start = strcmp(kernel, "scatter_sorted") == 0 && i == 1;
    const bool is_sums =
        strstr(kernel, "sum") && strstr(kernel, "_chunks") && strcmp(kernel, "colsum_chunks") && i == 1;
    const size_t blocks = i > 0 ? 1 : strncmp(kernel, "gates", 5) == 0 ? 2 : strncmp(kernel, "mix", 3) == 0 ? 3 : 1;
    field f = field_make(type, SQUARE + is_start, is_sums ? 1 : blocks * SQUARE, 3);
    for (size_t r = 0; r < f.at.rows; r++)
        for (size_t j = 0; j < f.at.cols; j++)
            if (type == 'f')
                *real(&f, r, j) = 3 + (float)random_real(random);
            else if (type == 'i')
                *whole(&f, r, j) = (int)r;
    return f;
}

// A gradient that is not finite, where something is to be done about it; nothing was blocked before.
static void make_stat(const char *kernel, field *f)
{
    const bool guards = strcmp(kernel, "guard") == 0 || strcmp(kernel, "rescale") == 0;
    if (guards) *real(&f[0], 0, STAT_SUMSQ) = INFINITY;
    if (guards) *real(&f[0], 0, STAT_BLOCKED) = 0;
    if (strcmp(kernel, "update") == 0) *real(&f[4], 0, STAT_BLOCKED) = 0;
}

static void write_one(uint64_t *random, const kernel_row *row)
{
    job b = {
        row->name, {0}, {.alpha = 1, .gradient = 1, .loss = 1, .optimizer = 2, .half_kind = HALF_BF16, .value = 7}};
    b.k.cell = strncmp(row->name, "mix", 3) == 0 ? BPTT_GRU_BEFORE : BPTT_MINGRU; // of gates: 2 blocks, of mix: 3
    if (strncmp(row->name, "cell", 4) == 0) b.k.cell = BPTT_TANH;
    b.k.beta1 = b.k.rest_beta1 = b.k.beta2 = b.k.rest_beta2 = b.k.epsilon = 0.5f;
    field f[MOST] = {{0}}, before[MOST] = {{0}};
    for (size_t i = 0; row->types[i]; i++) f[i] = operand_of(random, row->name, i, row->types[i]), b.op[i] = &f[i];
    make_stat(row->name, f);
    for (size_t i = 0; row->types[i]; i++) before[i] = field_copy(&f[i]);
    run_grid(&b, 1, 1);
    for (size_t i = 0; row->types[i]; i++) {
        const bool changed = memcmp(f[i].bytes, before[i].bytes, f[i].n * f[i].size) != 0;
        CK_TRUE(changed == (row->writes[i] == '1'), "%s: operand %zu was %s; its row says \"%s\"", row->name, i,
                changed ? "written" : "not written", row->writes);
        CK_TRUE(intact(&f[i]), "%s: strays around operand %zu", row->name, i);
        free(f[i].bytes), free(before[i].bytes);
    }
}

// By these columns a lowering orders the kernels.
START_TEST(a_kernel_changes_the_operands_that_its_row_names_and_no_other)
{
    uint64_t random = 11;
    for (unsigned k = 0; k < ALL_KERNELS; k++) write_one(&random, &kernel_table[k]);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_cast_multiplies_by_the_scale_and_rounds_to_the_nearest);
    tcase_add_test(c, a_cell_that_casts_gives_the_bits_of_the_cell_and_rounds_them);
    tcase_add_test(c, a_cell_backwards_that_casts_gives_the_bits_of_the_cell_and_rounds_them_scaled);
    tcase_add_test(c, a_sorted_scatter_gives_the_bits_of_a_scatter);
    tcase_add_test(c, the_scale_follows_the_windows);
    tcase_add_test(c, a_kernel_changes_the_operands_that_its_row_names_and_no_other);
    tcase_add_test(c, every_kernel_has_a_number_and_types_and_no_other_name_has);
}

int main(void) { return run_suite("lowered", add, 60); }
