// Plans: their size does not depend on the length of a window, loops run as their ops say, and a plan prints as text.
#include "nets.h"
#include "plan_text.h"
#include "run.h"
#include "suite.h"

static net net_of(size_t L, size_t B, size_t T, bool gradient, bool keep)
{
    bptt_model_config c = net_config("ref", BPTT_F32, 11, 7, L);
    net n;
    net_open(&n, &c, &(bptt_run_config){.batch = B, .steps = T, .gradient = gradient, .keep = keep});
    return n;
}

START_TEST(a_plan_of_many_steps_has_the_ops_of_a_plan_of_few)
{
    enum { FEW = 5 * 32 + 3, MANY = 300 * 32 + 3 }; // passes of 32 steps, and a rest
    for (size_t i = 0; i < 8; i++) {
        const bool gradient = i % 2, keep = i / 2 % 2;
        net few = net_of(1 + i / 4, 3, FEW, gradient, keep), many = net_of(1 + i / 4, 3, MANY, gradient, keep);
        const bool blocks = few.r->T * few.r->B > few.r->R; // else the decoder has no loop over blocks
        for (work w = EVALUATE; w < (gradient ? WORKS : NEXT + 1); w++) {
            const size_t more = gradient && w != NEXT && !blocks ? many.r->plan[w].ops - few.r->plan[w].ops : 0;
            ck_assert_uint_eq(many.r->plan[w].ops - more, few.r->plan[w].ops);
            ck_assert_uint_le(more, 2 * 8); // a loop over blocks and a rest, each with a block's ops
            ck_assert_uint_eq(many.r->plan[w].room, few.r->plan[w].room);
            ck_assert_uint_le(many.r->plan[w].ops, many.r->plan[w].room);
        }
        ck_assert_uint_eq(plan_bytes(&few.c, gradient), plan_bytes(&many.c, gradient));
        net_close(&few);
        net_close(&many);
    }
}
END_TEST

// ---- the walk -------------------------------------------------------------------------------------------------------

typedef struct seen {
    size_t n, at[64], whole, outer[8];
} seen;

static void note_op(void *with, const bptt_op *op)
{
    seen *s = with;
    ck_assert_uint_lt(s->n, 64);
    s->at[s->n++] = op->arg[0].at;
}

static void note_loop(void *with, const bptt_op *loop, size_t u)
{
    seen *s = with;
    ck_assert_int_eq(loop->opcode, BPTT_LOOP);
    s->outer[s->whole++] = u;
}

// A copy whose first operand begins at `at` and moves by inner and outer elements.
static bptt_op moving_copy(size_t at, ptrdiff_t inner, ptrdiff_t outer)
{
    return (bptt_op){.opcode = BPTT_COPY, .alpha = 1, .arg = {{.at = at, .move = {inner, outer}}}};
}

START_TEST(loops_run_their_bodies_in_order_and_move_every_view)
{
    bptt_op op[] = {moving_copy(7, 100, 1000), // in no loop: moves mean nothing
                    {.opcode = BPTT_LOOP, .loop = {BPTT_LOOP_BLOCKS, 2, 4}},
                    moving_copy(1000, 10, 5),
                    {.opcode = BPTT_LOOP, .loop = {BPTT_LOOP_BACKWARD, 3, 2}},
                    moving_copy(500, -1, 100),
                    moving_copy(2000, 0, 0),
                    {.opcode = BPTT_LOOP, .loop = {BPTT_LOOP_OUTPUT, 1, 1}},
                    moving_copy(9, 1, 0)};
    const bptt_plan p = {.op = op, .ops = sizeof op / sizeof *op};
    static const size_t wanted[] = {7, 1000, 500, 2000, 499, 2000, 498, 2000, 1010, 600, 2000, 599, 2000, 598, 2000, 9};
    seen s = {0};
    bptt_walk_plan(&p, &(bptt_walk){.one = note_op, .with = &s});
    ck_assert_uint_eq(s.n, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < s.n; i++) ck_assert_uint_eq(s.at[i], wanted[i]);
    s = (seen){0};
    bptt_walk_plan(&p, &(bptt_walk){.one = note_op, .whole = note_loop, .with = &s});
    ck_assert_uint_eq(s.n, 3);
    ck_assert(s.at[0] == 7 && s.at[1] == 1000 && s.at[2] == 1010);
    ck_assert(s.whole == 3 && s.outer[0] == 0 && s.outer[1] == 1 && s.outer[2] == 0);
}
END_TEST

// ---- in words -------------------------------------------------------------------------------------------------------

START_TEST(every_operand_of_a_plan_in_words_has_a_name)
{
    for (size_t i = 0; i < 8; i++) {
        net n = net_of(1 + i / 4, 3, 70, i % 2, i / 2 % 2);
        for (work w = EVALUATE; w < (i % 2 ? WORKS : NEXT + 1); w++) {
            char *text = NULL;
            size_t size = 0, lines = 0;
            FILE *f = open_memstream(&text, &size);
            ck_assert_ptr_nonnull(f);
            plan_write_text(n.r, &n.r->plan[w], f);
            ck_assert_int_eq(fclose(f), 0);
            CK_TRUE(!strchr(text, '?'), "%s", text);
            for (const char *c = text; (c = strchr(c, '\n')); c++) lines++;
            ck_assert_uint_eq(lines, n.r->plan[w].ops);
            ck_assert_ptr_nonnull(strstr(text, "loop forward in time, "));
            ck_assert_ptr_nonnull(strstr(text, "\n    gemm ")); // the body is indented
            free(text);
        }
        net_close(&n);
    }
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_plan_of_many_steps_has_the_ops_of_a_plan_of_few);
    tcase_add_test(c, loops_run_their_bodies_in_order_and_move_every_view);
    tcase_add_test(c, every_operand_of_a_plan_in_words_has_a_name);
}

int main(void) { return run_suite("plan", add, 60); }
