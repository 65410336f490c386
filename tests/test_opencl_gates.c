// The programs of gated cells' loops, one for each cell, made when a plan first holds such a loop.
#include "fake_cl.h"
#include "opencl_rig.h"
#include "past.h"

START_TEST(a_cells_program_is_made_once)
{
    const cl_api api = fake_api();
    cl_setup s = {.api = &api, .cache = ""};
    char *text = small_text(&s.text_size);
    s.text = text;
    bptt_device *d = open_device(&s, &(bptt_compute){0});
    launch l = {.kernel = TUNED_GATES_FORWARD};
    cl_kernel kernel[2];
    for (int i = 0; i < 2; i++) {
        fake_now.compiled = 0;
        CK_DONE(cl_build_gates(cl_of(d), BPTT_GRU, error));
        CK_TRUE(fake_now.compiled == (i == 0), "time %d: %d programs were compiled", i, fake_now.compiled);
        l.constants.layer.cell = BPTT_GRU;
        kernel[0] = cl_kernel_of(cl_of(d), &l, NULL);
        CK_DONE(cl_build_gates(cl_of(d), BPTT_LSTM, error)); // the list moves
        l.constants.layer.cell = BPTT_LSTM;
        kernel[1] = cl_kernel_of(cl_of(d), &l, NULL);
        ck_assert(kernel[0] && kernel[1] && kernel[0] != kernel[1]);
    }
    l.constants.layer.cell = BPTT_GRU;
    ck_assert_ptr_eq(cl_kernel_of(cl_of(d), &l, NULL), kernel[0]);
    close_device(d);
    CK_TRUE(fake_now.alive == 0, "%ld objects are left", fake_now.alive);
    free(text);
}
END_TEST

// The cell's loops run op by op then; another cell's program is as good as before.
START_TEST(a_cells_program_that_fails_anywhere_leaves_kernels_without_work_items)
{
    static const char *const call[] = {"CreateProgramWithSource", "BuildProgram", "CreateKernel",
                                       "GetKernelWorkGroupInfo"};
    const cl_api api = fake_api();
    cl_setup s = {.api = &api, .cache = ""};
    char *text = small_text(&s.text_size);
    s.text = text;
    bptt_device *d = open_device(&s, &(bptt_compute){0});
    const long before = fake_now.alive;
    int cell = 2;
    for (size_t i = 0; i < sizeof call / sizeof call[0]; i++)
        for (int after = 0; after < (i < 2 ? 1 : CL_KERNELS - CL_COMMON); after++) {
            fake_now.call = call[i], fake_now.after = after, fake_now.code = CL_OUT_OF_HOST_MEMORY;
            CK_DONE(cl_build_gates(cl_of(d), cell, error));
            CK_TRUE(fake_now.alive == before, "%s after %d: %ld objects more", call[i], after, fake_now.alive - before);
            fake_now.call = NULL;
            CK_DONE(cl_build_gates(cl_of(d), cell, error)); // not tried again
            for (unsigned k = CL_COMMON; k < CL_KERNELS; k++) {
                size_t most = 1;
                const launch l = {.kernel = k, .constants.layer.cell = cell};
                CK_TRUE(!cl_kernel_of(cl_of(d), &l, &most) && most == 0, "%s after %d", call[i], after);
            }
            cell++;
        }
    CK_DONE(cl_build_gates(cl_of(d), cell, error));
    CK_TRUE(fake_now.alive > before, "no program was made");
    close_device(d);
    CK_TRUE(fake_now.alive == 0, "%ld objects are left", fake_now.alive);
    free(text);
}
END_TEST

// open takes no user pointer. group: the work-items that kernels may have which are made after it; 0: enough
static struct {
    cl_setup setup;
    cl_api api;
    size_t group;
} here;

static bptt_status open_here(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    fake_now.group = 0;
    const bptt_status s = cl_open_with(&here.setup, b, c, d, e);
    fake_now.group = here.group;
    return s;
}

// Results of a GRU; *launches: of all its windows.
static past gru_with(const bptt_backend *b, size_t group, int *launches)
{
    bptt_model_config c = net_config("", BPTT_F32, 7, 5, 1);
    c.cell = BPTT_GRU, c.compute.device = NULL, c.compute.lowering = BPTT_LOWER_ALWAYS;
    here.group = group;
    net n;
    net_open_on(&n, b, &c, 3, 6);
    fake_now.launches = 0;
    const past p = live(&n);
    *launches = fake_now.launches;
    net_close(&n);
    return p;
}

START_TEST(a_cells_kernel_that_may_have_fewer_work_items_is_not_used)
{
    static const cl_limits gpu = {
        .kind = BPTT_GPU, .local_memory = 32768, .local_is_real = true, .largest_group = 64, .units = 2};
    here.api = fake_api();
    here.setup = (cl_setup){.api = &here.api, .limits = &gpu, .cache = ""};
    bptt_backend b = bptt_opencl();
    b.open = open_here, b.list = NULL;
    int whole = 0, single = 0;
    past one = gru_with(&b, 0, &whole), two = gru_with(&b, 31, &single);
    CK_TRUE(single > whole, "%d launches with whole loops, %d without", whole, single);
    const char *other = other_past(&one, &two);
    CK_TRUE(!other, "%s differs", other);
    CK_TRUE(fake_now.alive == 0, "%ld objects are left", fake_now.alive);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, a_cells_program_is_made_once);
    tcase_add_test(c, a_cells_program_that_fails_anywhere_leaves_kernels_without_work_items);
    tcase_add_test(c, a_cells_kernel_that_may_have_fewer_work_items_is_not_used);
}

int main(void) { return run_opencl_suite("opencl gates", add, 240); }
