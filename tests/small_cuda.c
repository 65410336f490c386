// The CUDA module against the host build of the kernels, on small nets: training, evaluation, single steps, one to
// three layers, both clipping modes, as one graph and launch by launch. On the stand-ins for CUDA (standin/), which sum
// products in the order of the host build, results are bit-identical; with BPTT_GPU=1 they run on a GPU with cuBLAS's
// products and are compared within float rounding. BPTT_TEST_FEW: the smallest nets only, for compute-sanitizer.
#include "host_backend.h"
#include "modules.h"
#include "past.h"
#include "suite.h"
#include "trainer_on.h"

static bool on_gpu(void)
{
    const char *said = getenv("BPTT_GPU");
    return said && strcmp(said, "1") == 0;
}

static bptt_backend cuda(void)
{
    bptt_backend b;
    bptt_error e = {0};
    CK_TRUE(module_load("cuda", &b, &e) == BPTT_OK, "%s", e.words);
    b.list = NULL; // one device, whatever it is called
    return b;
}

// Sums run over the padding of rows too, and blocks of logits are summed one after another.
static bptt_backend host_kernels_like(const bptt_backend *b)
{
    bptt_backend host = bptt_host_kernels();
    host.pad = b->pad;
    host.logits_at_a_time = b->logits_at_a_time;
    return host;
}

typedef struct kind {
    size_t V, I, H, L, B, T, M;
    bptt_cell cell; // TANH: or RELU, by the number of the case
} kind;

// B 50 and H 100, which are multiples of nothing, stand for many; T 33 is cut into pieces of 5 steps and a rest.
static const kind KIND[] = {
    {2, 0, 1, 1, 1, 1, 0, BPTT_TANH},    {17, 0, 7, 2, 5, 3, 0, BPTT_TANH},      {70, 6, 16, 1, 3, 4, 0, BPTT_TANH},
    {5, 0, 9, 1, 2, 2, 3, BPTT_TANH},    {11, 0, 5, 3, 2, 33, 0, BPTT_TANH},     {9, 0, 100, 2, 50, 9, 0, BPTT_TANH},
    {7, 3, 6, 3, 1, 17, 0, BPTT_TANH},   {5, 0, 64, 2, 2, 16, 0, BPTT_TANH},     {0, 9, 7, 2, 3, 33, 9, BPTT_TANH},
    {9, 0, 7, 3, 3, 17, 0, BPTT_GRU},    {9, 0, 33, 2, 5, 9, 0, BPTT_LSTM},      {0, 5, 7, 2, 3, 33, 3, BPTT_MLSTM},
    {7, 3, 33, 1, 3, 5, 0, BPTT_MINGRU}, {9, 0, 5, 2, 7, 9, 0, BPTT_GRU_BEFORE}, {0, 9, 1, 1, 1, 9, 2, BPTT_GRU},
    {11, 0, 65, 1, 2, 7, 0, BPTT_MLSTM}, {9, 4, 7, 2, 2, 12, 0, BPTT_LSTM}};
enum { KINDS = sizeof KIND / sizeof KIND[0], SMALLEST = 4 };

// True if case i is skipped: BPTT_TEST_FEW keeps the SMALLEST first nets, with both clipping modes.
static bool left_out(size_t i) { return getenv("BPTT_TEST_FEW") && i % KINDS >= SMALLEST; }

static bptt_model_config config_for(size_t i, bptt_lowering how)
{
    const kind *k = &KIND[i % KINDS];
    bptt_model_config c = net_config("", BPTT_F32, k->V, k->H, k->L);
    c.output = k->M, c.loss = k->M ? (bptt_loss)(1 + i % 3) : BPTT_SOFTMAX, c.skip = k->M > 0 && k->I >= k->M;
    c.input = k->I, c.biases = 1 + (int)(i & 1), c.cell = k->cell ? k->cell : i % 3 == 2 ? BPTT_RELU : BPTT_TANH;
    c.optimizer = (bptt_optimizer)(i % 3), c.clip_mode = i / KINDS ? BPTT_CLIP_VALUE : BPTT_CLIP_NORM;
    c.clip = i / KINDS ? 0.01 : 0.1, c.momentum = 0.5, c.compute.device = NULL, c.compute.lowering = how;
    return c;
}

// ---- near, on a GPU -------------------------------------------------------------------------------------------------

static void near_part(const double *x, const double *y, size_t n, const char *what, size_t i)
{
    char says[80];
    snprintf(says, sizeof says, "net %zu: %s", i, what);
    if (x && y) CK_NEAR(near_scaled(x, y, n, 2e-5), says);
}

static void near_past(past *a, past *b, size_t i)
{
    static const char *const part[] = {"weights", "gradient", "first moments", "second moments"};
    // RMSProp and Adam divide by the gradient's size: of one that is zero but for rounding they make a whole step.
    const int first = i % 3 == BPTT_SGD ? 0 : 1;
    for (int k = first; k < 4; k++) near_part(a->model.part[k], b->model.part[k], a->model.n, part[k], i);
    near_part(a->state, b->state, a->states, "states", i);
    for (int k = 0; k < WINDOWS; k++) near_part(&a->report[k].loss, &b->report[k].loss, 1, "loss", i);
}

// ---- tests ----------------------------------------------------------------------------------------------------------

static void beside_the_twin(size_t i, bptt_lowering how)
{
    const bptt_backend one = cuda(), two = host_kernels_like(&one);
    const kind *k = &KIND[i % KINDS];
    bptt_model_config c = config_for(i, how);
    net n, m;
    net_open_on(&n, &one, &c, k->B, k->T);
    net_open_on(&m, &two, &c, k->B, k->T);
    past a = live(&n), b = live(&m);
    net_close(&n), net_close(&m);
    if (on_gpu()) near_past(&a, &b, i);
    const char *other = other_past(&a, &b);
    CK_TRUE(on_gpu() || !other, "net %zu, lowering %d: %s differs from the host build", i, (int)how, other);
}

START_TEST(graphs_give_the_results_of_the_host_build)
{
    for (size_t i = 0; i < 2 * KINDS; i++)
        if (!left_out(i)) beside_the_twin(i, BPTT_LOWER_ALWAYS);
}
END_TEST

START_TEST(single_launches_give_the_results_of_the_host_build)
{
    for (size_t i = 0; i < 2 * KINDS; i++)
        if (!left_out(i)) beside_the_twin(i, BPTT_LOWER_NEVER);
}
END_TEST

static past live_with(const bptt_backend *b, const bptt_model_config *c, const kind *k)
{
    net n;
    net_open_on(&n, b, c, k->B, k->T);
    const past p = live(&n);
    net_close(&n);
    return p;
}

// As a graph again, node by node, and with a profile. On a GPU cuBLAS may choose another kernel for the pieces that
// only a graph has: there reruns of one way are the same, and no more is claimed.
START_TEST(every_way_to_run_gives_the_same_bits)
{
    const bptt_backend b = cuda();
    for (size_t i = 0; i < KINDS; i++) {
        const bptt_model_config graph = config_for(i, BPTT_LOWER_ALWAYS), nodes = config_for(i, BPTT_LOWER_NEVER);
        bptt_model_config timed = graph;
        timed.compute.profile = 1;
        const bptt_model_config *const way[] = {&graph, &nodes, &timed};
        for (size_t k = 0; k < 3; k++) {
            past once = live_with(&b, on_gpu() ? way[k] : &graph, &KIND[i]), again = live_with(&b, way[k], &KIND[i]);
            const char *other = other_past(&once, &again);
            CK_TRUE(!other, "net %zu, way %zu: other %s", i, k, other);
        }
    }
}
END_TEST

START_TEST(a_training_run_ends_in_the_bytes_of_the_host_build)
{
    const bptt_backend one = cuda(), two = host_kernels_like(&one);
    const file text = slurp(TEST_DATA "/curve.txt");
    bptt_trainer_config c;
    bptt_trainer_defaults(&c);
    c.model.hidden = _i ? 128 : 33, c.model.layers = 2, c.model.clip = 0.4,
    c.model.compute.lowering = BPTT_LOWER_ALWAYS;
    c.batch = 17, c.steps = _i ? 7 : 65, c.iterations = 16, c.valid_every = 5, c.valid = 0.02;
    bptt_trainer *t = trainer_on(&one, &c, text.bytes, text.n), *host = trainer_on(&two, &c, text.bytes, text.n);
    trainer_go(t, 16);
    trainer_go(host, 16);
    bptt_trainer_info here, there;
    bptt_trainer_get_info(t, &here), bptt_trainer_get_info(host, &there);
    CK_TRUE(same_files(saved(t), saved(host)) || on_gpu(), "H %zu: bytes differ from the host build", c.model.hidden);
    CK_NEAR(near_scaled(&here.best_loss, &there.best_loss, 1, 2e-5), "validation");
    bptt_trainer_close(t), bptt_trainer_close(host);
    free(text.bytes);
}
END_TEST

static void add(TCase *c)
{
    tcase_add_test(c, graphs_give_the_results_of_the_host_build);
    tcase_add_test(c, single_launches_give_the_results_of_the_host_build);
    if (getenv("BPTT_TEST_FEW")) return;
    tcase_add_test(c, every_way_to_run_gives_the_same_bits);
    tcase_add_loop_test(c, a_training_run_ends_in_the_bytes_of_the_host_build, 0, 2);
}

int main(void) { return run_suite("small cuda", add, 600); }
