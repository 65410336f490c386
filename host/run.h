// A run from the inside: what depends on B and T, and its plans.
#ifndef RUN_H
#define RUN_H

#include "model.h"

// The plans a run prepares at open. TRAIN is GRADIENT and an update.
// NEXT is the first step of a window by itself, with log-probabilities instead of a loss.
typedef enum work { EVALUATE, NEXT, GRADIENT, TRAIN, WORKS } work;

// What goes into plan->input[] and slots->input[].
typedef enum input { IN_TOKEN, IN_TARGET, IN_WEIGHT, IN_KEEP, IN_DENSE } input;

// Device memory of a run. N = T*B rows in time-major order. Matrices that a run does not need have buf NULL.
typedef struct run_memory {
    bptt_mat token, target; // [N][1] indices; token absent for dense models
    bptt_mat dense;         // [N][I]
    bptt_mat weight, keep;  // [N][1]
    // W = S*H columns, S being the states of the cell here: h, then its other states
    bptt_mat state;  // [L*B][W]: carried from window to window
    bptt_mat *h;     // [L] x [(T+1)*B][W]: block t is the state before step t.
                     // Forward only: [2] x [(S+1)*B][W], S steps at a time, layers in turn
    bptt_mat *kept;  // [L] x [N][W]: keep(t) times the state, what step t starts from; forward only: [1] x [B][W]
    bptt_mat *gates; // gated cells: [L] x [N][G*H]: z, then what the reverse pass needs, then dz; forward only:
                     // [1] x [S*B][G*H]
    bptt_mat *hh_flipped, *ih_flipped; // [L] each: stored transposes of W_hh, W_ih, where the backend wants them
    bptt_mat out_flipped;              // [V][H]
    bptt_mat dh[2];  // [(T+1)*B][W]: block t is the gradient of h(t), turns into dz(t-1) in place if the
                     // cell is elementwise; the layer below in
                     // the other
    bptt_mat *dz;    // a run that keeps them, instead of dh: [L] x [(T+1)*B][W], one for each layer
    bptt_mat dkept;  // [B][W]: gradient of kept, one step
    bptt_mat dstate; // [L*B][W]
    bptt_mat dlast;  // [L*B][W]: from outside, to the states after the last step
    bptt_mat dx;     // [N][I]
    bptt_mat logits; // [R][V]: R rows of the window at a time
    bptt_mat losses; // [N][1] sums
    bptt_mat stat;   // [1][STATS] sums: statistics.h
} run_memory;

struct bptt_run {
    bptt_model *model;
    bptt_run_config config;
    size_t B, T, S, R; // S: steps of a forward-only pass; R: rows of the decoder at a time
    bool keeps_dz;     // of every layer, until the next window: for a trace, or where the backend overlaps layers
    run_memory mem;
    bptt_mat *views; // behind the arrays of mem
    bptt_buf *block[LAYOUT_BLOCKS];
    bptt_plan plan[WORKS];
    void *handle[WORKS];
    float *ones;                      // [N]
    bool weighted, keeping;           // the device's weight, keep may be other than ones
    size_t submitted;                 // windows submitted and not collected
    double weight_of[BPTT_SUBMITTED]; // sums of their weights, oldest first
    bool refusing;                    // STAT_BLOCKED is 1 on the device
};

// bptt_run_open, given no NULL and a whole configuration, of a run that may keep the dz of every layer, in memory of
// their own, for traces: same plans and bits.
bptt_status run_open(bptt_model *m, const bptt_run_config *c, bool keeps_dz, bptt_run **r, bptt_error *e);
// The dz of layer l after a window: of layers 0 and 1, of all in a run that keeps them.
bptt_mat run_dz(const bptt_run *r, size_t l);

// Bytes of device memory a run takes, and of the host's besides.
bptt_status run_size(const bptt_backend *b, const bptt_model_config *m, const bptt_run_config *c, size_t *bytes,
                     size_t *host, bptt_error *e);

// Bytes of a run's plans. They do not depend on B and T.
size_t plan_bytes(const bptt_model_config *m, bool gradient);
// The plan of one kind of work; p->op is the caller's to free. False: no memory.
bool plan_work(bptt_plan *p, const bptt_run *r, work w);

// The layers alone, for who times or tests them; bptt_run_open prepares no such plan. r is open with gradient = 1.
typedef enum layers_part {
    LAYERS_FORWARD,  // from the carried state and the input in mem to mem.h; carries the last state on
    LAYERS_BACKWARD, // from the states that a forward left and dy to the layers' gradient, mem.dstate and mem.dx
    LAYERS_BOTH
} layers_part;
// dy [N][H]: gradient of the top layer's states after each step; stays as it is. FORWARD does not look at it.
// The plan has no inputs and no output; p->op is the caller's to free. False: no memory.
bool plan_layers(bptt_plan *p, const bptt_run *r, layers_part part, bptt_mat dy);

#endif
