// Every kernel of the OpenCL program, on small shapes, for every class of devices, whole windows in one kernel and not:
// the bits of the host build. Small enough for Oclgrind (oclgrind.sh), which watches each access.
//
//   small_opencl           runs the tests; BPTT_TEST_PROGRAM: a file with another text of the program;
//                          BPTT_TEST_FEW: some: each kernel a few times, not every combination; one: one small net;
//                          BPTT_TEST_PLAIN: for Oclgrind's check of memory that was never written (below)
//   small_opencl --text    prints the program
#include "host_backend.h"
#include "past.h"
#include "suite.h"
#include "trainer_on.h"

#include "cl_internal.h"
#include "cl_program_text.h"

#include <dlfcn.h>

// Simulated device properties that cover every row of tile_class_of's table. One class of each kind computes all nets,
// the others a few: PoCL compiles a kernel for each size of groups, most of a minute for all nets.
static const struct {
    const char *name;
    cl_limits limits;
    bool all_nets;
} CLASS[] = {
    {"lanes 16 wide", {BPTT_CPU, 0, false, 1, 2, 16, false}, true},
    {"lanes 8 wide", {BPTT_CPU, 0, false, 1, 2, 8, false}, false},
    {"lanes 4 wide", {BPTT_CPU, 0, false, 1, 1, 4, false}, false},
    {"groups of 256", {BPTT_GPU, 32768, true, 256, 2, 1, false}, true},
    {"groups of 64", {BPTT_GPU, 8192, true, 64, 3, 1, false}, false},
};
enum { CLASSES = sizeof CLASS / sizeof CLASS[0], MADE = 64 };

// Settings read by the tables opened here (open takes no user pointer), and the kernels created and queued.
static struct {
    cl_setup setup;
    cl_api api, real;
    struct {
        cl_kernel kernel;
        char name[40];
        bool queued;
    } made[MADE];
    size_t n;
} here;

static cl_kernel CL_API_CALL noting_kernel(cl_program p, const char *name, cl_int *code)
{
    const cl_kernel k = here.real.CreateKernel(p, name, code);
    size_t i = 0;
    while (i < here.n && strcmp(here.made[i].name, name) != 0) i++;
    ck_assert_uint_lt(i, MADE);
    if (i == here.n) snprintf(here.made[here.n++].name, sizeof here.made[i].name, "%s", name);
    here.made[i].kernel = k;
    return k;
}

static cl_int CL_API_CALL noting_range(cl_command_queue q, cl_kernel k, cl_uint n, const size_t *offset,
                                       const size_t *global, const size_t *local, cl_uint events, const cl_event *wait,
                                       cl_event *event)
{
    for (size_t i = 0; i < here.n; i++) here.made[i].queued |= here.made[i].kernel && here.made[i].kernel == k;
    return here.real.EnqueueNDRangeKernel(q, k, n, offset, global, local, events, wait, event);
}

// ---- for Oclgrind's check of memory that was never written ----------------------------------------------------------

// Version 21.10 takes a write of a part of a buffer for all there is of it, and does not count what clEnqueueFillBuffer
// fills and what is mapped to be read and written. With BPTT_TEST_PLAIN set all these become writes of whole buffers:
// what was there before, with the part in it. That hides nothing: every buffer is filled when it is made. The device is
// said to have memory of its own, so nothing is mapped.
typedef struct plain_calls {
    cl_int(CL_API_CALL *size)(cl_mem, cl_mem_info, size_t, void *, size_t *);
    cl_int(CL_API_CALL *read)(cl_command_queue, cl_mem, cl_bool, size_t, size_t, void *, cl_uint, const cl_event *,
                              cl_event *);
    cl_int(CL_API_CALL *write)(cl_command_queue, cl_mem, cl_bool, size_t, size_t, const void *, cl_uint,
                               const cl_event *, cl_event *);
} plain_calls;
static plain_calls plain;

static cl_int CL_API_CALL plain_info(cl_device_id id, cl_device_info what, size_t n, void *out, size_t *bytes)
{
    const cl_int code = here.real.GetDeviceInfo(id, what, n, out, bytes);
    if (!code && out && what == CL_DEVICE_HOST_UNIFIED_MEMORY) memset(out, 0, n);
    return code;
}

static cl_int CL_API_CALL plain_fill(cl_command_queue q, cl_mem m, const void *pattern, size_t each, size_t at,
                                     size_t n, cl_uint events, const cl_event *wait, cl_event *event)
{
    char *all = must_alloc(n, 1);
    for (size_t i = 0; i + each <= n; i += each) memcpy(all + i, pattern, each);
    const cl_int code = plain.write(q, m, CL_TRUE, at, n, all, events, wait, event);
    free(all);
    return code;
}

static cl_int CL_API_CALL plain_rectangle(cl_command_queue q, cl_mem m, cl_bool block, const size_t *device,
                                          const size_t *host, const size_t *region, size_t pitch, size_t slice,
                                          size_t host_pitch, size_t host_slice, const void *from, cl_uint events,
                                          const cl_event *wait, cl_event *event)
{
    (void)slice, (void)host_slice, (void)block;
    size_t n = 0;
    ck_assert_int_eq(plain.size(m, CL_MEM_SIZE, sizeof n, &n, NULL), CL_SUCCESS);
    char *all = must_alloc(n, 1);
    cl_int code = plain.read(q, m, CL_TRUE, 0, n, all, events, wait, NULL);
    for (size_t i = 0; i < region[1]; i++)
        memcpy(all + (device[1] + i) * pitch + device[0], (const char *)from + (host[1] + i) * host_pitch + host[0],
               region[0]);
    if (!code) code = plain.write(q, m, CL_TRUE, 0, n, all, 0, NULL, event);
    free(all);
    return code;
}

static void write_plainly(void)
{
    void *library = dlopen("libOpenCL.so.1", RTLD_NOW);
    ck_assert_ptr_nonnull(library);
    void *const found[] = {dlsym(library, "clGetMemObjectInfo"), dlsym(library, "clEnqueueReadBuffer"),
                           dlsym(library, "clEnqueueWriteBuffer")};
    _Static_assert(sizeof found == sizeof plain, "a function for each member");
    memcpy(&plain, found, sizeof plain);
    here.api.GetDeviceInfo = plain_info;
    here.api.EnqueueFillBuffer = plain_fill;
    here.api.EnqueueWriteBufferRect = plain_rectangle;
}

static bptt_status open_here(const bptt_backend *b, const bptt_compute *c, bptt_device **d, bptt_error *e)
{
    bptt_compute as = *c;
    as.device = getenv("BPTT_DEVICE");
    for (size_t i = 0; i < here.n; i++) here.made[i].kernel = NULL; // those of a closed device
    return cl_open_with(&here.setup, b, &as, d, e);
}

// A table whose devices are of that class; -1: of their own.
static bptt_backend opencl_of(int class)
{
    const char *path = getenv("BPTT_TEST_PROGRAM");
    bptt_error e = {0};
    CK_TRUE(cl_api_load(&here.real, &e) == BPTT_OK, "%s", e.words);
    here.api = here.real;
    here.api.CreateKernel = noting_kernel;
    here.api.EnqueueNDRangeKernel = noting_range;
    if (getenv("BPTT_TEST_PLAIN")) write_plainly();
    here.n = 0;
    here.setup = (cl_setup){.api = &here.api, .limits = class < 0 ? NULL : &CLASS[class].limits, .cache = ""};
    if (path) {
        const file text = slurp(path);
        here.setup.text = (const char *)text.bytes, here.setup.text_size = text.n;
    }
    bptt_backend b = bptt_opencl();
    b.open = open_here;
    b.list = NULL; // one device, whatever it is called
    return b;
}

// Sums run over the padding of rows too: the host build pads as the device does.
static bptt_backend host_kernels_like(const bptt_backend *b)
{
    bptt_backend host = bptt_host_kernels();
    host.pad = b->pad;
    return host;
}

static bool few(void) { return getenv("BPTT_TEST_FEW") != NULL; }
static bool one_net(void) { return few() && strcmp(getenv("BPTT_TEST_FEW"), "one") == 0; }

// ---- products -------------------------------------------------------------------------------------------------------

typedef struct product {
    size_t N, K, M;
    unsigned t; // bits: a, b, c transposed
    int alpha, beta;
} product;

static bptt_mat operand(const bptt_backend *b, bptt_device *d, size_t rows, size_t cols, bool t, uint64_t seed)
{
    bptt_mat m = {.at = 3, .rows = rows, .cols = cols, .ld = (t ? rows : cols) + 2, .type = BPTT_F32, .t = t};
    const bptt_mat flat = {.rows = 1, .cols = m.at + m.ld * (t ? cols : rows), .type = BPTT_F32};
    double *x = reals(flat.cols);
    bptt_mat whole = flat;
    random_reals(&seed, 1, x, flat.cols);
    CK_OK(b->alloc(d, flat.cols * sizeof(float), &m.buf, NULL));
    whole.buf = m.buf, whole.ld = flat.cols;
    CK_OK(b->write(d, whole, x, BPTT_F64, NULL));
    free(x);
    return m;
}

// c's whole buffer after the product; the caller frees it.
static double *multiplied(const bptt_backend *b, bptt_device *d, const product *p, size_t *n)
{
    bptt_mat m[3] = {operand(b, d, p->N, p->K, p->t & 1, 1), operand(b, d, p->K, p->M, p->t & 2, 2),
                     operand(b, d, p->N, p->M, p->t & 4, 3)};
    bptt_op s = {.opcode = BPTT_GEMM, .alpha = p->alpha, .beta = p->beta, .arg = {m[0], m[1], m[2]}};
    const bptt_plan plan = {.op = &s, .ops = 1, .room = 1};
    void *handle = NULL;
    CK_OK(b->prepare(d, &plan, &handle, NULL));
    CK_OK(b->run(d, handle, &(bptt_slots){0}, NULL));
    *n = m[2].at + m[2].ld * (m[2].t ? p->M : p->N);
    double *x = reals(*n);
    const bptt_mat whole = {.buf = m[2].buf, .rows = 1, .cols = *n, .ld = *n, .type = BPTT_F32};
    CK_OK(b->read(d, x, BPTT_F64, whole, NULL));
    b->forget(d, handle);
    for (int i = 0; i < 3; i++) b->free(d, m[i].buf);
    return x;
}

static void products(const bptt_backend *one, bptt_device *d, const bptt_backend *two, bptt_device *e, const char *name)
{
    static const size_t SIZE[][3] = {{1, 1, 1}, {7, 9, 5}, {65, 3, 17}, {15, 17, 66}, {2, 129, 33}};
    for (size_t i = 0; i < sizeof SIZE / sizeof SIZE[0]; i++)
        for (unsigned t = 0; t < 8; t++) {
            if (few() && (i % 2 == 0 || t % 3)) continue;
            const product p = {SIZE[i][0], SIZE[i][1], SIZE[i][2], t, t % 3 == 0 ? -1 : 1, (int)(t + i) & 1};
            size_t n, m;
            double *x = multiplied(one, d, &p, &n), *y = multiplied(two, e, &p, &m);
            CK_TRUE(n == m && same_bits(x, y, n), "%s: bits differ from the host build: %zu x %zu x %zu, transposes %u",
                    name, p.N, p.K, p.M, t);
            free(x), free(y);
        }
}

// ---- windows --------------------------------------------------------------------------------------------------------

static const struct {
    bptt_cell cell;
    size_t V, I, H, L, B, T;
    int few;  // the lowering with which the net is among a few; -1: none
    size_t M; // width of dense targets
    bptt_loss loss;
} NET[] = {{BPTT_TANH, 2, 0, 1, 1, 1, 1, BPTT_LOWER_NEVER, 0, BPTT_SOFTMAX},
           {BPTT_TANH, 17, 0, 7, 2, 5, 3, BPTT_LOWER_ALWAYS, 0, BPTT_SOFTMAX},
           {BPTT_RELU, 70, 6, 16, 1, 3, 4, BPTT_LOWER_ALWAYS, 0, BPTT_SOFTMAX},
           {BPTT_TANH, 5, 0, 9, 1, 2, 2, BPTT_LOWER_NEVER, 0, BPTT_SOFTMAX},
           {BPTT_MLSTM, 3, 0, 1, 1, 2, 2, BPTT_LOWER_NEVER, 0, BPTT_SOFTMAX},
           {BPTT_LSTM, 5, 0, 7, 2, 5, 3, -1, 0, BPTT_SOFTMAX},
           {BPTT_MLSTM, 3, 0, 5, 1, 3, 2, BPTT_LOWER_ALWAYS, 0, BPTT_SOFTMAX},
           {BPTT_GRU, 9, 6, 7, 2, 5, 3, -1, 0, BPTT_SOFTMAX},
           {BPTT_MINGRU, 7, 0, 33, 1, 3, 4, -1, 0, BPTT_SOFTMAX},
           {BPTT_GRU_BEFORE, 5, 0, 33, 1, 7, 3, -1, 0, BPTT_SOFTMAX},
           {BPTT_GRU, 5, 0, 2, 1, 1, 2, BPTT_LOWER_ALWAYS, 0, BPTT_SOFTMAX},
           {BPTT_TANH, 0, 9, 7, 1, 3, 4, BPTT_LOWER_NEVER, 9, BPTT_SQUARED},
           {BPTT_GRU, 5, 0, 7, 2, 2, 3, -1, 70, BPTT_ABSOLUTE},
           {BPTT_TANH, 0, 7, 9, 1, 2, 3, -1, 5, BPTT_BINARY}};
enum { NETS = sizeof NET / sizeof NET[0] };

static void windows(const bptt_backend *one, const bptt_backend *two, bptt_lowering how, int class)
{
    const char *name = CLASS[class].name;
    for (size_t i = 0; i < (one_net() ? 1 : NETS); i++) {
        if ((few() || !CLASS[class].all_nets) && (int)how != NET[i].few) continue;
        bptt_model_config c = net_config("", BPTT_F32, NET[i].V, NET[i].H, NET[i].L);
        c.output = NET[i].M, c.loss = NET[i].loss, c.skip = NET[i].M > 0 && NET[i].I >= NET[i].M;
        c.input = NET[i].I, c.biases = 1 + (int)(i & 1), c.cell = NET[i].cell;
        c.optimizer = (bptt_optimizer)(i % 3), c.clip_mode = i == 1 ? BPTT_CLIP_VALUE : BPTT_CLIP_NORM;
        c.clip = 0.1, c.momentum = 0.5, c.compute.device = NULL, c.compute.lowering = how;
        net n, m;
        net_open_on(&n, one, &c, NET[i].B, NET[i].T);
        net_open_on(&m, two, &c, NET[i].B, NET[i].T);
        past a = live(&n), b = live(&m);
        if (i == 0 && how == BPTT_LOWER_NEVER) products(one, n.m->device, two, m.m->device, name);
        net_close(&n), net_close(&m);
        const char *other = other_past(&a, &b);
        CK_TRUE(!other, "%s, lowering %d, net %zu: %s differs from the host build", name, (int)how, i, other);
    }
}

static void all_were_queued(const char *name)
{
    for (size_t i = 0; i < CL_KERNELS; i++) {
        char full[48];
        snprintf(full, sizeof full, "bptt_%s", i < KERNELS ? kernel_table[i].name : tuned_name[i - KERNELS]);
        size_t k = 0;
        while (k < here.n && strcmp(here.made[k].name, full) != 0) k++;
        const bool replaced = i == KERNEL_gemm; // by the tuned kernels
        CK_TRUE(k < here.n && (here.made[k].queued || replaced), "%s: %s did not run", name, full);
    }
}

START_TEST(every_kernel_gives_the_bits_of_the_host_build)
{
    const bptt_backend one = opencl_of(_i), two = host_kernels_like(&one);
    windows(&one, &two, BPTT_LOWER_NEVER, _i);
    windows(&one, &two, BPTT_LOWER_ALWAYS, _i);
    if (!one_net()) all_were_queued(CLASS[_i].name);
}
END_TEST

// ---- a training run -------------------------------------------------------------------------------------------------

// H 256 and 33: rows that are padded more than to a multiple of 16, and rows that are not a multiple.
START_TEST(a_training_run_ends_in_the_bytes_of_the_host_build)
{
    const bptt_backend one = opencl_of(-1), two = host_kernels_like(&one);
    const file text = slurp(TEST_DATA "/curve.txt");
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model.hidden = _i ? 256 : 33, c.model.layers = 2, c.model.clip = 0.4,
    c.model.compute.lowering = BPTT_LOWER_ALWAYS;
    c.batch = 17, c.steps = _i ? 7 : 65, c.iterations = 16, c.valid_every = 5, c.valid = 0.02;
    bptt_trainer *t = trainer_on(&one, &c, text.bytes, text.n), *host = trainer_on(&two, &c, text.bytes, text.n);
    trainer_go(t, 16);
    trainer_go(host, 16);
    CK_TRUE(same_files(saved(t), saved(host)), "H %zu: bytes differ from the host build", c.model.hidden);
    bptt_trainer_close(t), bptt_trainer_close(host);
    free(text.bytes);
}
END_TEST

static int run(void)
{
    Suite *s = suite_create("small");
    for (int i = 0; i < CLASSES; i++) {
        TCase *c = tcase_create(CLASS[i].name);
        tcase_set_timeout(c, 1200);
        tcase_add_loop_test(c, every_kernel_gives_the_bits_of_the_host_build, i, i + 1);
        suite_add_tcase(s, c);
    }
    TCase *c = tcase_create("training");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, a_training_run_ends_in_the_bytes_of_the_host_build, 0, 2);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r), ran = srunner_ntests_run(r);
    srunner_free(r);
    return failed == 0 && ran > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int n, char **argument)
{
    if (n > 1 && strcmp(argument[1], "--text") == 0)
        return fwrite(cl_program_text, 1, cl_program_size, stdout) == cl_program_size ? EXIT_SUCCESS : EXIT_FAILURE;
    const int missing = place_missing();
    return missing ? missing : run();
}
