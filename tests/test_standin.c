// The stand-ins for CUDA: late execution of queued work, and detection of misuse.
#include "standin_rig.h"

static const char *const SETTINGS[] = {
    "STANDIN_MODE=lazy STANDIN_ORDER=fifo",  "STANDIN_MODE=lazy STANDIN_ORDER=lifo",
    "STANDIN_MODE=lazy STANDIN_ORDER=7",     "STANDIN_MODE=eager STANDIN_ORDER=fifo",
    "STANDIN_MODE=eager STANDIN_ORDER=lifo", "STANDIN_MODE=eager STANDIN_ORDER=7",
};
enum { ALL_SETTINGS = sizeof SETTINGS / sizeof SETTINGS[0] };

// ---- copies ---------------------------------------------------------------------------------------------------------

// Value transferred by a copy that was queued before *from changed.
static float copied_late(void)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 1);
    float *from = rig_pinned(&r, sizeof *from), got;
    *from = 1;
    GOOD(r.cu.MemcpyHtoDAsync(m, from, sizeof *from, r.main));
    *from = 2;
    rig_get(&r, &got, m, sizeof got);
    return got;
}

static void is_two(void) { MUST(copied_late() == 2); }
static void is_one(void) { MUST(copied_late() == 1); }

START_TEST(a_copy_reads_the_host_late_in_lazy_mode_and_at_once_in_eager_mode)
{
    expect_fine("STANDIN_MODE=lazy", is_two);
    expect_fine("STANDIN_MODE=eager", is_one);
}
END_TEST

static void fresh(void)
{
    standin_rig r = rig_open();
    float got[3] = {0};
    rig_get(&r, got, rig_memory(&r, 3), sizeof got);
    for (size_t i = 0; i < 3; i++) MUST(isnan(got[i]));
}

START_TEST(memory_that_was_never_written_holds_nan) { expect_fine("", fresh); }
END_TEST

// 3 x 2 floats out of rows of 5, into rows of 4.
static void strided(void)
{
    standin_rig r = rig_open();
    float x[4 * 5], y[4 * 4];
    for (size_t i = 0; i < 20; i++) x[i] = (float)i;
    cu_memory from = rig_memory(&r, 20), to = rig_memory(&r, 16);
    rig_put(&r, from, x, sizeof x);
    cu_copy2d c = {.src_type = CU_DEVICE, .src_device = from, .src_pitch = 20, .src_x_bytes = 4, .src_y = 1};
    c.dst_type = CU_DEVICE, c.dst_device = to, c.dst_pitch = 16, c.dst_x_bytes = 8;
    c.width_bytes = 8, c.height = 3;
    GOOD(r.cu.MemsetD8Async(to, 0, sizeof y, r.main));
    GOOD(r.cu.Memcpy2DAsync(&c, r.main));
    rig_get(&r, y, to, sizeof y);
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) MUST(y[4 * i + j] == (i < 3 && j >= 2 ? x[5 * (i + 1) + j - 1] : 0));
    c.dst_pitch = 15;
    GIVES(CU_INVALID_VALUE, r.cu.Memcpy2DAsync(&c, r.main));
}

START_TEST(a_copy_of_two_dimensions_takes_a_block_out_of_rows) { expect_fine("", strided); }
END_TEST

static void pageable(void)
{
    standin_rig r = rig_open();
    float x = 1;
    r.cu.MemcpyHtoDAsync(rig_memory(&r, 1), &x, sizeof x, r.main);
}

static void too_long(void)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 2);
    rig_fill(&r, r.main, m, rig_view(0, 1, 3, 3), 1);
}

static void too_far(void)
{
    standin_rig r = rig_open();
    rig_fill(&r, r.main, rig_memory(&r, 4), rig_view(2, 1, 3, 3), 1);
}

static void too_low(void)
{
    standin_rig r = rig_open();
    rig_memory(&r, 4);
    rig_fill(&r, r.main, rig_memory(&r, 4), rig_view((word)-1, 1, 3, 3), 1);
}

static void freed(void)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 2);
    GOOD(r.cu.MemFree(m));
    rig_fill(&r, r.main, m, rig_view(0, 1, 1, 1), 1);
}

static void freed_twice(void)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 2);
    GOOD(r.cu.MemFree(m));
    r.cu.MemFree(m);
}

// Past the end of the host allocation.
static void stray(void)
{
    standin_rig r = rig_open();
    char *p = rig_pinned(&r, 8);
    p[8] = 0;
    r.cu.StreamSynchronize(r.main);
}

START_TEST(memory_that_was_not_given_ends_the_program)
{
    expect_abort("", pageable, "not in any pinned memory");
    expect_abort("", too_long, "fill 1x3: out of bounds: y");
    expect_abort("", too_far, "out of bounds");
    expect_abort("", too_low, "out of bounds");
    expect_abort("", freed, "out of bounds");
    expect_abort("", freed_twice, "freed before");
    expect_abort("", stray, "somebody wrote after memory");
}
END_TEST

static void bad_id(void)
{
    standin_rig r = rig_open();
    const int id[2] = {1, 5};
    cu_memory at[3] = {rig_memory(&r, 2), rig_memory(&r, 10), rig_memory(&r, 4)};
    rig_put(&r, at[0], id, sizeof id);
    view lies[3] = {rig_view(0, 2, 1, 1), rig_view(0, 5, 2, 2), rig_view(0, 2, 2, 2)};
    GOOD(rig_launch(&r, "bptt_gather", r.main, 3, at, lies, (op_constants){0}));
    r.cu.StreamSynchronize(r.main);
}

static void small_operand(void)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 20);
    rig_copy(&r, r.main, m, rig_view(0, 2, 2, 2), m, rig_view(10, 2, 3, 3));
}

static void grids(void)
{
    standin_rig r = rig_open();
    cu_function f;
    cu_memory y = rig_memory(&r, 4), slots = 0;
    view lies = rig_view(0, 1, 4, 4);
    op_constants k = {.value = 2};
    void *arguments[] = {&y, &lies, &k, &slots};
    GOOD(r.cu.ModuleGetFunction(&f, r.module, "bptt_fill"));
    GIVES(CU_INVALID_VALUE, r.cu.LaunchKernel(f, 0, 1, 1, 32, 1, 1, 0, r.main, arguments, NULL));
    GIVES(CU_INVALID_VALUE, r.cu.LaunchKernel(f, 1, 65536, 1, 32, 1, 1, 0, r.main, arguments, NULL));
    GIVES(CU_INVALID_VALUE, r.cu.LaunchKernel(f, 1, 1, 1, 64, 17, 1, 0, r.main, arguments, NULL));
    GOOD(r.cu.LaunchKernel(f, 1, 65535, 1, 64, 16, 1, 0, r.main, arguments, NULL));
    k.value = 3, lies.rows = 70; // were copied at the call
    float got[4];
    rig_get(&r, got, y, sizeof got);
    for (size_t i = 0; i < 4; i++) MUST(got[i] == 2);
}

START_TEST(grids_are_what_devices_take_and_arguments_are_copied) { expect_fine("", grids); }
END_TEST

START_TEST(operands_that_do_not_fit_end_the_program)
{
    expect_abort("", bad_id, "id: row 1 holds 5, and there are 5");
    expect_abort("", small_operand, "x is too small");
}
END_TEST

// ---- graphs ---------------------------------------------------------------------------------------------------------

// main: x = 3, then y = x; side, between: z = x; then main: w = z.
static void forked(void)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 40);
    const view x = rig_view(0, 2, 5, 5), y = rig_view(10, 2, 5, 5), z = rig_view(20, 2, 5, 5),
               w = rig_view(30, 2, 5, 5);
    rig_capture(&r);
    GOOD(rig_fill(&r, r.main, m, x, 3));
    rig_fork(&r);
    GOOD(rig_copy(&r, r.side, m, x, m, z));
    GOOD(rig_copy(&r, r.main, m, x, m, y));
    rig_join(&r);
    GOOD(rig_copy(&r, r.main, m, z, m, w));
    cu_exec g = rig_graph(&r);
    float got[40];
    rig_get(&r, got, m, sizeof got);
    MUST(isnan(got[0]) && isnan(got[39])); // captured, not executed
    for (size_t n = 0; n < 2; n++) {
        GOOD(r.cu.MemsetD8Async(m, 0, sizeof got, r.main));
        GOOD(r.cu.GraphLaunch(g, r.main));
        rig_get(&r, got, m, sizeof got);
        for (size_t i = 0; i < 40; i++) MUST(got[i] == 3);
    }
    GOOD(r.cu.GraphExecDestroy(g));
    GOOD(r.cu.MemFree(m));
    rig_close(&r);
}

START_TEST(a_graph_gives_the_same_in_every_order_and_mode)
{
    for (size_t i = 0; i < ALL_SETTINGS; i++) {
        char settings[100];
        snprintf(settings, sizeof settings, "%s STANDIN_LEAKS=1", SETTINGS[i]);
        expect_fine(settings, forked);
    }
}
END_TEST

// The side stream reads what the main one writes after the fork.
static void forked_too_early(void)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 30);
    rig_capture(&r);
    rig_fork(&r);
    GOOD(rig_fill(&r, r.main, m, rig_view(0, 2, 5, 5), 3));
    GOOD(rig_copy(&r, r.side, m, rig_view(4, 1, 5, 5), m, rig_view(10, 1, 5, 5)));
    rig_join(&r);
    rig_graph(&r);
}

// Both write columns of the same rows; the side one from column `first` on.
static void two_blocks(count first)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 80);
    rig_capture(&r);
    rig_fork(&r);
    GOOD(rig_fill(&r, r.main, m, rig_view(0, 10, 4, 8), 3));
    GOOD(rig_fill(&r, r.side, m, rig_view(first, 10, 4, 8), 4));
    rig_join(&r);
    rig_graph(&r);
}
static void two_blocks_beside(void) { two_blocks(4); }
static void two_blocks_over(void) { two_blocks(3); }

START_TEST(a_missing_dependency_in_a_graph_ends_the_program)
{
    for (size_t i = 0; i < ALL_SETTINGS; i++) {
        expect_abort(SETTINGS[i], forked_too_early, "race between node 0 (fill 2x5");
        expect_abort(SETTINGS[i], two_blocks_over, "race between node 0 (fill 10x4");
        expect_fine(SETTINGS[i], two_blocks_beside);
    }
}
END_TEST

static void queue_two(bool wait)
{
    standin_rig r = rig_open();
    cu_memory m = rig_memory(&r, 10);
    float *x = rig_pinned(&r, 40);
    for (size_t i = 0; i < 10; i++) x[i] = 5;
    GOOD(r.cu.MemcpyHtoDAsync(m, x, 40, r.side));
    if (wait) rig_join(&r);
    GOOD(rig_copy(&r, r.main, m, rig_view(0, 1, 5, 5), m, rig_view(5, 1, 5, 5)));
    GOOD(r.cu.StreamSynchronize(r.main));
}
static void queue_ordered(void) { queue_two(true); }
static void queue_unordered(void) { queue_two(false); }

START_TEST(queued_work_that_does_not_wait_for_what_it_touches_ends_the_program)
{
    for (size_t i = 0; i < ALL_SETTINGS; i++) {
        expect_fine(SETTINGS[i], queue_ordered);
        expect_abort(SETTINGS[i], queue_unordered, "race between queued work (copy host to device");
    }
}
END_TEST

static bool touches(const standin_area *a, uint64_t byte)
{
    for (uint64_t i = 0; i < a->rows; i++)
        for (uint64_t j = 0; j < a->cols; j++) {
            const uint64_t at = a->at + i * a->down + j * a->across;
            if (at <= byte && byte < at + a->size) return true;
        }
    return false;
}

// Against a search of all bytes; every one of these shapes may meet any other.
static void overlaps(void)
{
    standin_rig r = rig_load();
    bool (*overlap)(const standin_area *, const standin_area *);
    *(void **)&overlap = dlsym(r.cuda, "standin_overlap");
    uint64_t random = 5, met = 0;
    for (size_t n = 0; n < 20000; n++) {
        standin_area a[2];
        for (size_t i = 0; i < 2; i++) {
            const uint64_t size = random_below(&random, 2) ? 2 : 4, rows = random_below(&random, 5);
            const uint64_t cols = random_below(&random, 4), gap = random_below(&random, 3);
            const uint64_t near = size * (1 + random_below(&random, 2)), far = near * (cols ? cols : 1) + gap * 2;
            const bool turned = random_below(&random, 2);
            a[i] = (standin_area){.at = 2 * random_below(&random, 40), .rows = rows, .cols = cols, .size = size};
            a[i].down = turned ? near : far, a[i].across = turned ? near * (rows ? rows : 1) + gap * 2 : near;
        }
        bool want = false;
        for (uint64_t byte = 0; byte < 400; byte++) want |= touches(&a[0], byte) && touches(&a[1], byte);
        MUST(overlap(&a[0], &a[1]) == want && overlap(&a[1], &a[0]) == want);
        met += want;
    }
    MUST(met > 2000 && met < 18000);
}

START_TEST(overlap_is_exact) { expect_fine("", overlaps); }
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_copy_reads_the_host_late_in_lazy_mode_and_at_once_in_eager_mode);
    tcase_add_test(c, memory_that_was_never_written_holds_nan);
    tcase_add_test(c, a_copy_of_two_dimensions_takes_a_block_out_of_rows);
    tcase_add_test(c, memory_that_was_not_given_ends_the_program);
    tcase_add_test(c, grids_are_what_devices_take_and_arguments_are_copied);
    tcase_add_test(c, operands_that_do_not_fit_end_the_program);
    tcase_add_test(c, a_graph_gives_the_same_in_every_order_and_mode);
    tcase_add_test(c, a_missing_dependency_in_a_graph_ends_the_program);
    tcase_add_test(c, queued_work_that_does_not_wait_for_what_it_touches_ends_the_program);
    tcase_add_test(c, overlap_is_exact);
}

int main(void) { return run_suite("standin", add, 60); }
