// A peer for `bptt bench`: whole training steps of a character network with oneDNN's recurrent layers on the CPU.
//
//   apt-get install g++ libdnnl-dev                # oneDNN 2.x: version 3 has other functions
//   FAST="-O3 -march=native -ffast-math -fno-finite-math-only -fopenmp"
//   g++ -std=c++17 $FAST bench/peers/onednn_rnn.cpp -ldnnl -o onednn_rnn
//   onednn_rnn [--cell tanh] [--hidden 128] [--layers 2] [--batch 50] [--steps 50] [--vocab 65] [--threads 1]
//              [--optimizer adam] [--clip 5] [--seconds 3] [--json] [--check]
//
// One step is what bench/peers/torch_rnn.py times: windows of B streams, dense one-hot input (a layer of oneDNN takes
// no tokens), the layers (vanilla_rnn, lbr_gru, lstm), decoder by dnnl_sgemm, softmax, cross-entropy, the reverse pass,
// clipping by the norm of the gradient, SGD or Adam; the state is carried. Layouts of weights are oneDNN's choice, and
// copying them there counts, as weights change at each step. -ffast-math is for this peer's sake, which then has a
// vector exp; bptt is never built with it. The result is one JSON object, as with --json, which changes nothing here.
// --check compares gradients with central differences of the loss instead: exit code 1 if one differs by
// 10 % of 1e-4 + |g| or more.
#include <dnnl.hpp>

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

using namespace dnnl;
using arguments = std::unordered_map<int, memory>;
using reals = std::vector<float>;

struct settings {
    std::string cell = "tanh", optimizer = "adam";
    long hidden = 128, layers = 2, batch = 50, steps = 50, vocab = 65, threads = 1;
    double clip = 5, seconds = 3, rate = 1e-3;
    bool check = false;
    long gates() const { return cell == "lstm" ? 4 : cell == "gru" ? 3 : 1; }
};

static engine cpu(engine::kind::cpu, 0);
static stream queue(cpu);

static double seconds_now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A parameter with its gradient and moments, all in one layout.
struct parameter {
    reals w, g, m, v;
    void init(size_t n, double bound)
    {
        w.resize(n), g.assign(n, 0), m.assign(n, 0), v.assign(n, 0);
        for (float &x : w) x = (float)(bound * (2.0 * rand() / RAND_MAX - 1));
    }
};

// Memory of the layout that a primitive wants for an argument.
static memory wanted(const primitive_desc_base &d, int argument)
{
    return memory(d.query_md(query::exec_arg_md, argument), cpu);
}

struct layer {
    long T, B, in, H, G;
    parameter ih, hh, bias; // [in][G][H], [H][G][H], [G or 4][H]
    primitive forward, backward;
    primitive_desc_base forward_desc, backward_desc;
    arguments forward_args, backward_args;
    memory plain_ih, plain_hh, grad_ih, grad_hh; // views of parameters

    void describe(const settings &s)
    {
        using tag = memory::format_tag;
        const auto f32 = memory::data_type::f32;
        const bool gru = s.cell == "gru", lstm = s.cell == "lstm";
        const memory::desc x({T, B, in}, f32, tag::tnc), y({T, B, H}, f32, tag::tnc), h({1, 1, B, H}, f32, tag::ldnc);
        const memory::desc wx({1, 1, in, G, H}, f32, tag::any), wh({1, 1, H, G, H}, f32, tag::any);
        const memory::desc b({1, 1, gru ? 4 : G, H}, f32, tag::ldgo);
        const auto train = prop_kind::forward_training, reverse = prop_kind::backward;
        const auto way = rnn_direction::unidirectional_left2right;
        if (lstm) {
            lstm_forward::primitive_desc f({train, way, x, h, h, wx, wh, b, y, h, h}, cpu);
            lstm_backward::primitive_desc r({reverse, way, x, h, h, wx, wh, b, y, h, h, x, h, h, wx, wh, b, y, h, h},
                                            cpu, f);
            forward = lstm_forward(f), backward = lstm_backward(r), forward_desc = f, backward_desc = r;
        } else if (gru) {
            lbr_gru_forward::primitive_desc f({train, way, x, h, wx, wh, b, y, h}, cpu);
            lbr_gru_backward::primitive_desc r({reverse, way, x, h, wx, wh, b, y, h, x, h, wx, wh, b, y, h}, cpu, f);
            forward = lbr_gru_forward(f), backward = lbr_gru_backward(r), forward_desc = f, backward_desc = r;
        } else {
            const auto act = algorithm::eltwise_tanh;
            vanilla_rnn_forward::primitive_desc f({train, act, way, x, h, wx, wh, b, y, h}, cpu);
            vanilla_rnn_backward::primitive_desc r({reverse, act, way, x, h, wx, wh, b, y, h, x, h, wx, wh, b, y, h},
                                                   cpu, f);
            forward = vanilla_rnn_forward(f), backward = vanilla_rnn_backward(r), forward_desc = f, backward_desc = r;
        }
    }

    void open(const settings &s, long width)
    {
        T = s.steps, B = s.batch, in = width, H = s.hidden, G = s.gates();
        const double bound = 1 / std::sqrt((double)H);
        ih.init((size_t)(in * G * H), bound), hh.init((size_t)(H * G * H), bound);
        bias.init((size_t)((s.cell == "gru" ? 4 : G) * H), bound);
        describe(s);
        using tag = memory::format_tag;
        const auto f32 = memory::data_type::f32;
        const memory::desc wx({1, 1, in, G, H}, f32, tag::ldigo), wh({1, 1, H, G, H}, f32, tag::ldigo);
        plain_ih = memory(wx, cpu, ih.w.data()), plain_hh = memory(wh, cpu, hh.w.data());
        grad_ih = memory(wx, cpu, ih.g.data()), grad_hh = memory(wh, cpu, hh.g.data());
        static const int both[] = {DNNL_ARG_SRC_LAYER, DNNL_ARG_SRC_ITER, DNNL_ARG_DST_LAYER, DNNL_ARG_DST_ITER,
                                   DNNL_ARG_WORKSPACE};
        static const int weights[] = {DNNL_ARG_WEIGHTS_LAYER, DNNL_ARG_WEIGHTS_ITER};
        static const int diffs[] = {DNNL_ARG_DIFF_SRC_LAYER, DNNL_ARG_DIFF_SRC_ITER,      DNNL_ARG_DIFF_DST_LAYER,
                                    DNNL_ARG_DIFF_DST_ITER,  DNNL_ARG_DIFF_WEIGHTS_LAYER, DNNL_ARG_DIFF_WEIGHTS_ITER};
        for (int a : both) forward_args[a] = backward_args[a] = wanted(forward_desc, a);
        for (int a : weights) forward_args[a] = wanted(forward_desc, a), backward_args[a] = wanted(backward_desc, a);
        for (int a : diffs) backward_args[a] = wanted(backward_desc, a);
        if (s.cell == "lstm") {
            forward_args[DNNL_ARG_SRC_ITER_C] = backward_args[DNNL_ARG_SRC_ITER_C] =
                wanted(forward_desc, DNNL_ARG_SRC_ITER_C);
            forward_args[DNNL_ARG_DST_ITER_C] = backward_args[DNNL_ARG_DST_ITER_C] =
                wanted(forward_desc, DNNL_ARG_DST_ITER_C);
            backward_args[DNNL_ARG_DIFF_SRC_ITER_C] = wanted(backward_desc, DNNL_ARG_DIFF_SRC_ITER_C);
            backward_args[DNNL_ARG_DIFF_DST_ITER_C] = wanted(backward_desc, DNNL_ARG_DIFF_DST_ITER_C);
        }
        const memory::desc b = forward_desc.query_md(query::exec_arg_md, DNNL_ARG_BIAS);
        forward_args[DNNL_ARG_BIAS] = backward_args[DNNL_ARG_BIAS] = memory(b, cpu, bias.w.data());
        backward_args[DNNL_ARG_DIFF_BIAS] = memory(b, cpu, bias.g.data());
        for (auto &a : backward_args) zero(a.second);
        for (auto &a : forward_args) zero(a.second);
    }

    static float *data(const memory &m) { return static_cast<float *>(m.get_data_handle()); }
    void zero(const memory &m)
    {
        if (data(m) != bias.w.data()) memset(m.get_data_handle(), 0, m.get_desc().get_size());
    }
    static void move(memory from, memory to) { reorder(from, to).execute(queue, from, to); }

    void carry()
    {
        for (auto pair : {std::pair<int, int>{DNNL_ARG_DST_ITER, DNNL_ARG_SRC_ITER},
                          std::pair<int, int>{DNNL_ARG_DST_ITER_C, DNNL_ARG_SRC_ITER_C}})
            if (forward_args.count(pair.first))
                memcpy(data(forward_args[pair.second]), data(forward_args[pair.first]),
                       (size_t)(B * H) * sizeof(float));
    }

    void run_forward()
    {
        move(plain_ih, forward_args[DNNL_ARG_WEIGHTS_LAYER]), move(plain_hh, forward_args[DNNL_ARG_WEIGHTS_ITER]);
        forward.execute(queue, forward_args);
        queue.wait();
    }

    // The gradient of the outputs [T][B][H] is in place.
    void run_backward()
    {
        move(plain_ih, backward_args[DNNL_ARG_WEIGHTS_LAYER]), move(plain_hh, backward_args[DNNL_ARG_WEIGHTS_ITER]);
        zero(backward_args[DNNL_ARG_DIFF_WEIGHTS_LAYER]), zero(backward_args[DNNL_ARG_DIFF_WEIGHTS_ITER]);
        std::fill(bias.g.begin(), bias.g.end(), 0.0f);
        backward.execute(queue, backward_args);
        move(backward_args[DNNL_ARG_DIFF_WEIGHTS_LAYER], grad_ih),
            move(backward_args[DNNL_ARG_DIFF_WEIGHTS_ITER], grad_hh);
        queue.wait();
    }
};

struct network {
    settings s;
    std::vector<layer> layers;
    parameter out, out_bias; // [H][V], [V]
    reals logits;            // [N][V]
    std::vector<int> token;
    long updates = 0, at = 0;

    void open(const settings &chosen)
    {
        s = chosen;
        layers.resize((size_t)s.layers);
        for (long l = 0; l < s.layers; l++) layers[(size_t)l].open(s, l ? s.hidden : s.vocab);
        const double bound = 1 / std::sqrt((double)s.hidden);
        out.init((size_t)(s.hidden * s.vocab), bound), out_bias.init((size_t)s.vocab, bound);
        logits.resize((size_t)(s.batch * s.steps * s.vocab));
        token.resize((size_t)(s.batch * s.steps * 40 + 1));
        for (int &t : token) t = (int)(rand() % s.vocab);
    }

    std::vector<parameter *> parameters()
    {
        std::vector<parameter *> all;
        for (layer &l : layers) all.insert(all.end(), {&l.ih, &l.hh, &l.bias});
        all.insert(all.end(), {&out, &out_bias});
        return all;
    }

    // Stream b begins at 40 windows times b, and is read in a circle.
    int token_at(long t, long b) const { return token[(size_t)((at + b * s.steps * 40 + t) % (long)token.size())]; }

    double forward()
    {
        const long N = s.batch * s.steps, V = s.vocab, H = s.hidden;
        float *x = layer::data(layers[0].forward_args[DNNL_ARG_SRC_LAYER]);
        memset(x, 0, (size_t)(N * V) * sizeof *x);
        for (long t = 0; t < s.steps; t++)
            for (long b = 0; b < s.batch; b++) x[(t * s.batch + b) * V + token_at(t, b)] = 1;
        for (size_t l = 0; l < layers.size(); l++) {
            if (l) {
                const memory &below = layers[l - 1].forward_args[DNNL_ARG_DST_LAYER];
                layers[l].forward_args[DNNL_ARG_SRC_LAYER] = layers[l].backward_args[DNNL_ARG_SRC_LAYER] = below;
            }
            layers[l].run_forward();
        }
        float *h = layer::data(layers.back().forward_args[DNNL_ARG_DST_LAYER]);
        dnnl_sgemm('N', 'N', N, V, H, 1, h, H, out.w.data(), V, 0, logits.data(), V);
        double loss = 0;
        // the softmax, and in its place the gradient of the logits
#pragma omp parallel for reduction(+ : loss)
        for (long i = 0; i < N; i++) {
            float *z = &logits[(size_t)(i * V)], top = -INFINITY, sum = 0;
            for (long v = 0; v < V; v++) z[v] += out_bias.w[(size_t)v], top = std::max(top, z[v]);
            for (long v = 0; v < V; v++) z[v] = std::exp(z[v] - top), sum += z[v];
            const int y = token_at(i / s.batch + 1, i % s.batch);
            loss -= std::log(z[y] / sum);
            for (long v = 0; v < V; v++) z[v] /= sum * (float)N;
            z[y] -= 1 / (float)N;
        }
        return loss / (double)N;
    }

    void backward()
    {
        const long N = s.batch * s.steps, V = s.vocab, H = s.hidden;
        float *h = layer::data(layers.back().forward_args[DNNL_ARG_DST_LAYER]);
        dnnl_sgemm('T', 'N', H, V, N, 1, h, H, logits.data(), V, 0, out.g.data(), V);
        std::fill(out_bias.g.begin(), out_bias.g.end(), 0.0f);
        for (long i = 0; i < N; i++)
            for (long v = 0; v < V; v++) out_bias.g[(size_t)v] += logits[(size_t)(i * V + v)];
        float *dh = layer::data(layers.back().backward_args[DNNL_ARG_DIFF_DST_LAYER]);
        dnnl_sgemm('N', 'T', N, H, V, 1, logits.data(), V, out.w.data(), V, 0, dh, H);
        for (size_t l = layers.size(); l-- > 0;) {
            if (l + 1 < layers.size())
                layers[l].backward_args[DNNL_ARG_DIFF_DST_LAYER] = layers[l + 1].backward_args[DNNL_ARG_DIFF_SRC_LAYER];
            layers[l].run_backward();
        }
    }

    void update()
    {
        double sum = 0;
        for (parameter *p : parameters()) {
            double part = 0;
            const long n = (long)p->g.size();
#pragma omp parallel for reduction(+ : part)
            for (long i = 0; i < n; i++) part += (double)p->g[(size_t)i] * (double)p->g[(size_t)i];
            sum += part;
        }
        const double norm = std::sqrt(sum);
        const float scale = s.clip > 0 && norm > s.clip ? (float)(s.clip / (norm + 1e-6)) : 1, rate = (float)s.rate;
        const float c1 = (float)(1 - std::pow(0.9, ++updates)), c2 = (float)(1 - std::pow(0.999, updates));
        const bool adam = s.optimizer == "adam";
        for (parameter *p : parameters()) {
            const long n = (long)p->w.size();
#pragma omp parallel for
            for (long k = 0; k < n; k++) {
                const size_t i = (size_t)k;
                const float g = scale * p->g[i];
                if (!adam) {
                    p->w[i] -= rate * g;
                    continue;
                }
                p->m[i] = 0.9f * p->m[i] + 0.1f * g;
                p->v[i] = 0.999f * p->v[i] + 0.001f * g * g;
                p->w[i] -= rate / c1 * p->m[i] / (std::sqrt(p->v[i] / c2) + 1e-8f);
            }
        }
    }

    double step()
    {
        for (layer &l : layers) l.carry();
        const double loss = forward();
        backward();
        update();
        at = (at + s.steps) % (s.steps * 39);
        return loss;
    }
};

// The gradient of a few elements of each parameter beside (loss(w + e) - loss(w - e)) / 2e.
static int check(network &n)
{
    n.forward();
    n.backward();
    double worst = 0;
    for (parameter *p : n.parameters())
        for (int k = 0; k < 4; k++) {
            const size_t i = (size_t)rand() % p->w.size();
            const float was = p->w[i], e = 2e-2f, g = p->g[i];
            p->w[i] = was + e;
            const double more = n.forward();
            p->w[i] = was - e;
            const double less = n.forward();
            p->w[i] = was;
            worst = std::max(worst, std::abs((more - less) / (2 * e) - g) / (1e-4 + std::abs(g)));
        }
    printf("gradients are within %.3g of central differences, relative to 1e-4 + |g|\n", worst);
    return !(worst < 0.1);
}

static int usage(const char *what)
{
    fprintf(stderr, "onednn_rnn: %s; options: bench/peers/onednn_rnn.cpp\n", what);
    return 64;
}

int main(int argc, char **argv)
{
    settings s;
    const std::map<std::string, long *> counts = {{"--hidden", &s.hidden}, {"--layers", &s.layers},
                                                  {"--batch", &s.batch},   {"--steps", &s.steps},
                                                  {"--vocab", &s.vocab},   {"--threads", &s.threads}};
    const std::map<std::string, double *> numbers = {{"--clip", &s.clip}, {"--seconds", &s.seconds}};
    for (int i = 1; i < argc; i++) {
        const std::string o = argv[i];
        if (o == "--json" || o == "--check") {
            s.check |= o == "--check";
            continue;
        }
        if (i + 1 == argc) return usage(argv[i]);
        const char *value = argv[++i];
        if (counts.count(o))
            *counts.at(o) = atol(value);
        else if (numbers.count(o))
            *numbers.at(o) = atof(value);
        else if (o == "--cell")
            s.cell = value;
        else if (o == "--optimizer")
            s.optimizer = value;
        else
            return usage(argv[i - 1]);
    }
    for (const auto &c : counts)
        if (*c.second < 1) return usage(c.first.c_str());
    if (s.cell != "tanh" && s.cell != "gru" && s.cell != "lstm") return usage("--cell is tanh, gru or lstm");
    omp_set_num_threads((int)s.threads);
    network n;
    n.open(s);
    if (s.check) return check(n);
    double loss = 0;
    for (int i = 0; i < 5; i++) loss = n.step();
    std::vector<double> ms;
    for (const double end = seconds_now() + s.seconds; ms.size() < 3 || seconds_now() < end;) {
        const double start = seconds_now();
        loss = n.step();
        ms.push_back(1e3 * (seconds_now() - start));
        if (!std::isfinite(loss)) return fprintf(stderr, "onednn_rnn: the loss is %g\n", loss), 1;
    }
    std::sort(ms.begin(), ms.end());
    const double median = ms[ms.size() / 2], N = (double)(s.batch * s.steps), H = (double)s.hidden;
    const double flop = N * ((double)s.gates() * H * H * (6 + 12 * ((double)s.layers - 1)) + 6 * H * (double)s.vocab);
    const dnnl_version_t *v = dnnl_version();
    printf("{\"peer\": \"onednn\", \"version\": \"%d.%d.%d\", \"threads\": %ld, \"cell\": \"%s\", \"hidden\": %ld, "
           "\"layers\": %ld, \"batch\": %ld, \"steps\": %ld, \"iterations\": %zu, \"ms_per_step\": %.4f, \"ms_min\": "
           "%.4f, \"chars_per_s\": %.0f, \"gflops\": %.2f, \"loss\": %.4f}\n",
           v->major, v->minor, v->patch, s.threads, s.cell.c_str(), s.hidden, s.layers, s.batch, s.steps, ms.size(),
           median, ms[0], 1e3 * N / median, 1e-6 * flop / median, loss);
    return 0;
}
