// Default sizes for a text of n bytes or a sequence of n steps. They do not depend on the machine, so a run is the same
// everywhere.
#include "backend.h"
#include "sized.h"

#include <string.h>

// Hidden units and layers of an Elman network: about one parameter for every two to twenty bytes of text, against
// overfitting small texts and underfitting large ones.
static const struct {
    size_t below, hidden, layers;
} size[] = {
    {20000, 64, 1}, {200000, 128, 1}, {1000000, 128, 2}, {5000000, 256, 2}, {50000000, 512, 2}, {SIZE_MAX, 1024, 2},
};

enum { WINDOWS = 4 };                    // minimum number of windows in an epoch, if the text is long enough
enum { LONGEST = 1 << 20 };              // largest T
enum { UPDATES = 2000, VALIDATE = 500 }; // minimum number of updates; maximum between validations

// Of streams of n / B steps.
static size_t windows(size_t n, size_t B, size_t T) { return n / B / T; }

// Halves B, then T, until the n steps of the streams give enough windows; sets the number of updates.
static void choose_schedule(bptt_trainer_config *c, size_t n)
{
    while (c->batch > 1 && windows(n, c->batch, c->steps) < WINDOWS) c->batch /= 2;
    while (c->steps > 1 && c->steps / 2 > c->burn_in && windows(n, c->batch, c->steps) < WINDOWS) c->steps /= 2;
    const size_t W = windows(n, c->batch, c->steps);
    c->valid_every = W > 0 && W < VALIDATE ? VALIDATE / W * W : VALIDATE;
    c->iterations = 0;
    c->epochs = W * 10 < UPDATES && W > 0 ? (double)((UPDATES + W - 1) / W) : 10;
}

// The smallest multiple of 16 whose recurrent weights are as many in this cell as those of H units in an Elman network:
// a unit of a cell with R rows of weights has R/2 times the weights (tanh 2, GRU 6, LSTM 8) and takes as much longer.
static size_t units_for_cell(size_t H, bptt_cell cell)
{
    const bptt_cell_row *row = bptt_cell_row_of(cell);
    const size_t R = strlen(row->input) + strlen(row->hidden) + strlen(row->mixed);
    size_t h = 16;
    while (h * h * R < 2 * H * H) h += 16;
    return h;
}

static void choose_sizes(bptt_trainer_config *c, size_t n)
{
    size_t i = 0;
    while (n >= size[i].below && size[i].below != SIZE_MAX) i++;
    c->model.hidden = units_for_cell(size[i].hidden, c->model.cell);
    c->model.layers = size[i].layers;
    c->batch = 32, c->steps = 64;
    const size_t train = bptt_split(n, c->valid);
    choose_schedule(c, train > 0 ? train - 1 : 0);
}

// One small layer and long windows, as networks for audio have: their inputs are narrow, and most of what they model
// lasts for hundreds of steps. With burn_in at least half of the first window carries a loss.
static void choose_dense_sizes(bptt_trainer_config *c, size_t n)
{
    c->model.hidden = 32, c->model.layers = 1;
    c->batch = 32, c->steps = 512;
    while (c->steps < 2 * c->burn_in && c->steps < LONGEST) c->steps *= 2;
    choose_schedule(c, bptt_split(n, c->valid));
}

static void set_sizes_for(bptt_trainer_config *c, size_t n, void (*choose)(bptt_trainer_config *, size_t))
{
    bptt_trainer_config whole;
    if (!c || trainer_config_in(&whole, c, NULL)) return;
    choose(&whole, n);
    trainer_config_out(c, c->size, c->model.size, &whole);
}

void bptt_trainer_sizes_for_text(bptt_trainer_config *c, size_t n) { set_sizes_for(c, n, choose_sizes); }
void bptt_trainer_sizes_for_dense(bptt_trainer_config *c, size_t n) { set_sizes_for(c, n, choose_dense_sizes); }
