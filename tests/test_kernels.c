// Guarantees of device/kernels.h beyond the formulas: results do not depend on the number of lanes, and division and
// square root have the same bits on the device and on the host.
#include "rig.h"
#include "suite.h"

#include <pthread.h>

#include "prelude_c.h"

// A lane is a thread here: local memory is one for all of them, a barrier is one.
#undef KERNEL
#undef LOCAL
#undef BARRIER
#define KERNEL(name) UNUSED static void lanes_##name
#define LOCAL static
#define BARRIER (void)pthread_barrier_wait(&barrier)
static pthread_barrier_t barrier;

#include "kernels.h"

// ---- lanes ----------------------------------------------------------------------------------------------------------

enum { ROOM = 8 * 3001, OPERANDS = 3 };

// Five rows of inputs, and the kernels' results.
typedef struct state {
    float x[ROOM], out[ROOM], loss[8];
    int id[8];
} state;

typedef struct turn {
    work_item item;
    state *s;
    count rows, cols;
} turn;

static void rows_of_losses(const turn *t)
{
    const view x = {0, t->rows, t->cols, t->cols, 1}, column = {0, t->rows, 1, 1, 1};
    const op_constants o = {.gradient = 1};
    static const float k[8] = {1, 0.5f, 0, 2, 1, 1, 1, 1}, slots[SLOTS] = {0.25f};
    lanes_softmax_xent(&t->item, t->s->id, column, k, column, t->s->x, x, t->s->loss, column, o, slots);
}

// Targets are the rows shifted by an element: some outputs equal theirs.
static void rows_of_dense_losses(const turn *t)
{
    const view x = {0, t->rows, t->cols, t->cols, 1}, column = {0, t->rows, 1, 1, 1};
    static const float k[8] = {1, 0.5f, 0, 2, 1, 1, 1, 1}, slots[SLOTS] = {0.25f};
    const op_constants o = {.gradient = 1, .loss = 1 + (int)t->cols % 3};
    for (size_t i = 0; t->item.lane == 0 && t->item.group == 0 && i < (size_t)t->rows * t->cols; i++)
        t->s->out[i] = i % 7 ? t->s->x[i] / 2 : t->s->x[i];
    (void)pthread_barrier_wait(&barrier);
    lanes_dense_loss(&t->item, t->s->out, x, k, column, t->s->x, x, t->s->loss, column, o, slots);
}

static void rows_of_logarithms(const turn *t)
{
    const view x = {0, t->rows, t->cols, t->cols, 1};
    lanes_log_softmax(&t->item, t->s->x, x, (op_constants){0}, NULL);
}

static void squares(const turn *t)
{
    const count pieces = (t->cols + SUM_PIECE - 1) / SUM_PIECE;
    const view x = {0, t->rows, t->cols, t->cols, 1}, out = {0, t->rows, pieces, pieces, 1};
    lanes_sumsq_chunks(&t->item, t->s->x, x, t->s->out, out, (op_constants){0}, NULL);
}

static void sums(const turn *t)
{
    const count pieces = (t->cols + SUM_PIECE - 1) / SUM_PIECE;
    const view x = {0, t->rows, t->cols, t->cols, 1}, out = {0, t->rows, pieces, pieces, 1};
    lanes_sum_chunks(&t->item, t->s->x, x, t->s->out, out, (op_constants){0}, NULL);
}

static void total(const turn *t)
{
    const view x = {0, 1, t->rows * t->cols, 1, 1}, out = {0, 1, 1, 1, 1};
    lanes_sum(&t->item, t->s->x, x, t->s->out, out, (op_constants){.beta = 1}, NULL);
}

static void (*const kernel_of[])(const turn *t) = {
    rows_of_losses, rows_of_dense_losses, rows_of_logarithms, squares, sums, total};
enum { KERNELS_OF = 6, MOST_LANES = 64 };

typedef struct lane {
    turn t;
    size_t kernel;
} lane;

static void *run_lane(void *work)
{
    lane *l = work;
    for (l->t.item.group = 0; l->t.item.group < l->t.item.groups; l->t.item.group++) {
        kernel_of[l->kernel](&l->t);
        (void)pthread_barrier_wait(&barrier); // one group after the other: they share what is static
    }
    return NULL;
}

// The kernel with so many lanes and groups on the same numbers.
static void run_lanes(size_t kernel, count rows, count cols, count lanes, count groups, state *s)
{
    memset(s, 0, sizeof *s);
    uint64_t random = 3;
    for (size_t i = 0; i < (size_t)rows * cols; i++) s->x[i] = (float)(3 * random_real(&random));
    for (count i = 0; i < rows; i++) s->id[i] = (int)(i * 17 % cols);
    s->out[0] = 0.125f;
    pthread_t thread[MOST_LANES];
    lane l[MOST_LANES];
    ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, lanes), 0);
    for (count i = 0; i < lanes; i++) {
        const work_item item = {.lane = i, .lanes = lanes, .groups = groups};
        l[i] = (lane){{item, s, rows, cols}, kernel};
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run_lane, &l[i]), 0);
    }
    for (count i = 0; i < lanes; i++) pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&barrier);
}

START_TEST(any_number_of_lanes_and_groups_gives_the_same_bits)
{
    static const count cols[] = {1, 7, 33, 50, 65, 200, 3001}, lanes[] = {1, 2, 3, 7, 33, 64};
    state *one = must_alloc(1, sizeof *one), *many = must_alloc(1, sizeof *many);
    for (size_t k = 0; k < KERNELS_OF; k++)
        for (size_t c = 0; c < 7; c++)
            for (size_t n = 0; n < 6; n++) {
                const count rows = (count)(c + k) % 5 + 1;
                run_lanes(k, rows, cols[c], 1, 1, one);
                run_lanes(k, rows, cols[c], lanes[n], (count)n % 3 + 1, many);
                CK_TRUE(memcmp(one, many, sizeof *one) == 0, "kernel %zu, %u columns: other bits with %u lanes", k,
                        (unsigned)cols[c], (unsigned)lanes[n]);
            }
    free(one);
    free(many);
}
END_TEST

// ---- division and square root ---------------------------------------------------------------------------------------

enum { WEIGHTS = 20011 };

// One update of every optimizer, clipped by value or not: by norm would bring in the type of sums.
static void updated(rig *r, int o, bool clip, double *w, double *v)
{
    r->random = 9;
    slab s[4];
    for (int k = 0; k < 4; k++) s[k] = slab_make(r, 1, WEIGHTS, r->b.real, TIGHT, false, 1);
    for (size_t i = 0; i < WEIGHTS; i++) s[3].x[i] = fabs(s[3].x[i]);
    slab_write(r, &s[3]);
    slab stat = slab_make(r, 1, 3, r->b.sum, TIGHT, false, 0);
    const bptt_mat none = {.type = r->b.real};
    bptt_op step = {.opcode = BPTT_UPDATE,
                    .rule = {.optimizer = (bptt_optimizer)o,
                             .clip_mode = BPTT_CLIP_VALUE,
                             .clip = clip ? 0.375 : 0,
                             .momentum = 0.6,
                             .decay = 0.95,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .epsilon = 1e-8},
                    .arg = {s[0].m, s[1].m, o == BPTT_RMSPROP ? none : s[2].m, o == BPTT_SGD ? none : s[3].m, stat.m}};
    run_plan(r, &step, 1, &(bptt_slots){.scalar = {[BPTT_RATE] = 0.0125, [BPTT_ROOT] = o == BPTT_ADAM ? 0.0547 : 1}});
    flat_read(r, s[0].m, w, WEIGHTS);
    flat_read(r, s[3].m, v, WEIGHTS);
    for (int k = 0; k < 4; k++) slab_free(r, &s[k]);
    slab_free(r, &stat);
}

static void update_cases(rig *r)
{
    if (r->b.real != BPTT_F32) return;
    rig ref;
    rig_open(&ref, rig_called("ref f32"));
    double *x[4];
    for (int k = 0; k < 4; k++) x[k] = reals(WEIGHTS);
    for (int i = 0; i < 6; i++) {
        updated(&ref, i % 3, i < 3, x[0], x[1]);
        updated(r, i % 3, i < 3, x[2], x[3]);
        CK_NEAR(near_all(x[2], x[0], NULL, WEIGHTS), r->name);
        CK_NEAR(near_all(x[3], x[1], NULL, WEIGHTS), r->name);
    }
    for (int k = 0; k < 4; k++) free(x[k]);
    rig_close(&ref);
}

START_TEST(an_update_gives_the_bits_of_the_processors_division_and_square_root) { on_every_rig(update_cases, false); }
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, any_number_of_lanes_and_groups_gives_the_same_bits);
    tcase_add_test(c, an_update_gives_the_bits_of_the_processors_division_and_square_root);
}

int main(void) { return run_suite("kernels", add, 60); }
