// Internals of bptt_run: memory that depends on B and T, and plans.
#ifndef RUN_H
#define RUN_H

#include "packing.h"

// Plans prepared when a run is opened. TRAIN is GRADIENT and an update.
// NEXT is only the first step of a window, with a prediction instead of a loss.
typedef enum work { EVALUATE, NEXT, GRADIENT, TRAIN, WORKS } work;

enum { MOST_SIZES = 8 }; // batch sizes that a run with lengths prepares

// Indices of plan->input[] and slots->input[].
typedef enum input { IN_TOKEN, IN_TARGET, IN_WEIGHT, IN_KEEP, IN_DENSE } input;

// Device memory of a run. N = T*B rows in time-major order. Matrices that a run does not need have buf NULL.
typedef struct run_memory {
    bptt_mat token, target; // [N][1] indices; token absent for dense models; dense targets [N][O]
    bptt_mat dense;         // [N][I]
    bptt_mat weight, keep;  // [N][1]
    // [N][1], with a learned initial state: 1 - keep, its part of a state; the constant -1
    bptt_mat fresh, minus;
    // W = S*H columns, S being the states of the cell here: h, then its other states
    bptt_mat state;  // [L*B][W]: carried from window to window
    bptt_mat *h;     // [L] x [(T+1)*B][W]: block t is the state before step t.
                     // Forward only: [2] x [(S+1)*B][W], S steps at a time, layers in turn
    bptt_mat *kept;  // [L] x [N][W]: keep(t) times the state, input of step t; forward only: [1] x [B][W]
    bptt_mat *gates; // gated cells: [L] x [N][blocks*H]: z, then the gates saved for backward, then dz; forward only:
                     // [1] x [S*B][blocks*H]
    bptt_mat *mixed; // mixed cells: [L] x [N][H]: u, operand of the second product; forward only: [1] x [B][H]
    // [L] each: stored transposes of W_hh, W_ih, W_mixed, if the backend asks for them
    bptt_mat *hh_flipped, *ih_flipped, *mixed_flipped;
    bptt_mat out_flipped; // [O][H]
    bptt_mat dh[2];       // [(T+1)*B][W]: block t is the gradient of h(t), turns into dz(t-1) in place if the
                          // cell is elementwise; the layer below in
                          // the other
    bptt_mat *dz;         // keeps_dz, instead of dh: [L] x [(T+1)*B][W], one for each layer
    bptt_mat dkept;       // [L*B][W]: gradient of kept, one step of each layer, so that layers may overlap; with a
                          // learned initial state [L*N][W]: all steps
    bptt_mat dmixed;      // [L*B][H]: gradient of u, one step of each layer
    bptt_mat dstate;      // [L*B][W]
    bptt_mat dlast;       // [L*B][W]: gradient w.r.t. the final states, from bptt_run_write_last_gradient
    bptt_mat dx;          // [N][I]
    bptt_mat logits;      // [R][O]: R rows of the window at a time
    bptt_mat losses;      // [N][1] sums
    bptt_mat stat;        // [1][STATS] sums: statistics.h
} run_memory;

struct bptt_run {
    bptt_model *model;
    bptt_run_config config;
    size_t B, T, S, R; // S: steps of a forward-only pass; R: rows of a decoder block
    bool keeps_dz;     // keep dz of every layer until the next window: for traces, or if the backend overlaps layers
    run_memory mem;
    bptt_mat *views; // behind the arrays of mem
    bptt_buf *block[LAYOUT_BLOCKS];
    bptt_plan plan[WORKS];
    void *handle[WORKS];
    float *ones;            // [N]
    float *weights;         // [N]: weights of a window that gives none: 0 in the first burn_in steps, else 1
    float *masked;          // [N], with burn_in: weights of a window, 0 in its first steps
    bool weighted, keeping; // the device's weight, keep may differ from ones
    size_t submitted;       // windows in flight
    struct submitted_window {
        double weight;        // sum of its weights
        bptt_run *computes;   // this run, or one of `sized`
    } flight[BPTT_SUBMITTED]; // oldest first
    bool updates_blocked;     // STAT_BLOCKED is 1 on the device
    // With lengths: runs of fewer streams in the same memory, the smallest first, the last one of B. This run has no
    // plans then. A window is packed and computed by the smallest run that holds it.
    bptt_run *sized[MOST_SIZES];
    size_t sizes;
    packing packing;
    bptt_run *last; // of `sized`: the run of the last window
};

// bptt_run_open without NULL checks, for a complete configuration. keeps_dz: stores dz of every layer, for traces;
// plans and bits are the same.
bptt_status run_open(bptt_model *m, const bptt_run_config *c, bool keeps_dz, bptt_run **r, bptt_error *e);
// BAD_INPUT if the run was opened with lengths.
bptt_status require_carried_state(const bptt_run *r, bptt_error *e);
// dz of layer l after a window: available for layers 0 and 1, for all layers with keeps_dz.
bptt_mat run_dz(const bptt_run *r, size_t l);

// Memory of a run in bytes: on the device, and on the host.
bptt_status run_size(const bptt_backend *b, const bptt_model_config *m, const bptt_run_config *c, size_t *bytes,
                     size_t *host, bptt_error *e);

// Memory of a run's plans in bytes; independent of B and T.
size_t plan_bytes(const bptt_model_config *m, bool gradient);
// Builds the plan of one kind of work. The caller frees p->op. False: no memory.
bool plan_work(bptt_plan *p, const bptt_run *r, work w);

// Plans of the layers alone, for benchmarks and tests; bptt_run_open does not prepare them. r has gradient = 1.
typedef enum layers_part {
    LAYERS_FORWARD,  // from the carried state and the input in mem to mem.h; carries the last state on
    LAYERS_BACKWARD, // from the states of the last forward and dy to the layers' gradient, mem.dstate and mem.dx
    LAYERS_BOTH
} layers_part;
// dy [N][H]: gradient of the top layer's states after each step; not modified; ignored by FORWARD.
// The plan has no inputs and no output. The caller frees p->op. False: no memory.
bool plan_layers(bptt_plan *p, const bptt_run *r, layers_part part, bptt_mat dy);

#endif
