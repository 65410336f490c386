// A layer's loop as one launch: the grid of the whole-loop kernels, and where they are worth it.
#include "cl_tiles.h"
#include "lower/layer_loop.h"
#include "lower/sizes.h"

#include <stdint.h>

enum {
    WARP = 32,
    LEAST_ROWS = 4, // with fewer, a row of w is read from cache for too little work
    MOST_IN_CACHE =
        512 * 512 // elements of a block of w: beyond, each unit would fetch all of w from afar at every step, where
                  // the product alone gives each unit a part of it
};

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

// One work-item takes a group's rows: at most window_rows, and groups that share the units evenly. False: steps are
// faster.
static bool grid_of_rows(launch *l, const layer_loop *loop, const tile_class *c, const cl_limits *limits)
{
    const bool weights = loop->w.buf || loop->mixed.buf;
    if (weights && loop->H > MOST_IN_CACHE / loop->H && !limits->forced) return false;
    const size_t units = limits->units ? limits->units : 1, needed = pieces_of(loop->B, c->window_rows);
    const size_t even = pieces_of(needed, units) * units, sensible = pieces_of(loop->B, LEAST_ROWS);
    const size_t groups = even <= sensible ? even : sensible > needed ? sensible : needed;
    l->groups[0] = groups;
    return true;
}

// Columns of the left operand of a loop's products; at least 1.
static size_t depth_of(const layer_loop *l) { return most(l->w.buf ? l->w.rows : 1, l->mixed.buf ? l->mixed.rows : 1); }

// The group's lanes share columns; tiles of the rows lie in local memory, two for an elementwise cell, and perhaps its
// w. False: no room.
static bool grid_of_tiles(launch *l, const layer_loop *loop, const tile_class *c, const cl_limits *limits)
{
    const size_t depth = depth_of(loop), H = loop->H, column = c->window_rows * sizeof(float);
    const size_t each = (loop->gated ? 1 : 2) * column;
    if (depth > limits->local_memory / each) return false;
    const size_t tiles = each * depth;
    size_t lanes = pieces_of(loop->gated ? c->window_rows * H : H, WARP) * WARP;
    if (lanes > c->window_lanes) lanes = c->window_lanes;
    const size_t room = limits->local_memory - tiles;
    const bool resident = !loop->gated && limits->local_is_real && H <= room / sizeof(float) / H;
    l->constants.layer.resident = resident;
    l->local_bytes = tiles + (resident ? H * H * sizeof(float) : 0);
    l->groups[0] = pieces_of(loop->B, c->window_rows);
    l->lanes[0] = lanes;
    return true;
}

// The kernel of a loop and its operands.
static void set_operands(launch *out, const layer_loop *l)
{
    const bptt_mat forward[] = {l->keep, l->h, l->kept, l->w, l->b, l->b2},
                   backward[] = {l->keep, l->h, l->dz, l->w, l->dkept};
    const bptt_mat gated[] = {
        l->keep, l->h, l->kept, l->z, l->w, l->u, l->mixed, l->backward ? l->dz : l->b, l->backward ? l->dkept : l->b2};
    const bptt_mat *from = l->gated ? gated : l->backward ? backward : forward;
    if (l->gated)
        out->kernel = l->backward ? TUNED_GATES_BACKWARD : TUNED_GATES_FORWARD;
    else
        out->kernel = l->backward ? TUNED_BACKWARD : TUNED_FORWARD;
    out->operands = (l->gated ? sizeof gated : l->backward ? sizeof backward : sizeof forward) / sizeof *from;
    for (size_t i = 0; i < out->operands; i++) {
        out->arg[i] = from[i];
        out->arg[i].move[0] = from[i].move[1]; // the launch takes the loop's place in the loop around it
        out->arg[i].move[1] = 0;
    }
}

bool cl_loop_launch(const bptt_op *loop, const tile_class *c, const cl_limits *limits, launch *out)
{
    layer_loop l;
    if (!layer_loop_of(loop, &l)) return false;
    launch made = {.constants.layer = {.stride_h = (word)l.h.move[0],
                                       .stride_dz = (word)l.dz.move[0],
                                       .stride_kept = (word)l.kept.move[0],
                                       .stride_keep = (word)l.keep.move[0],
                                       .stride_z = (word)l.z.move[0],
                                       .stride_u = (word)l.u.move[0],
                                       .T = (count)l.T,
                                       .B = (count)l.B,
                                       .H = (count)l.H,
                                       .hidden_at = (count)l.hidden_at,
                                       .mixed_at = (count)l.mixed_at,
                                       .cell = (int)l.cell,
                                       .masked = l.masked},
                   .constant_bytes = sizeof(layer_constants),
                   .groups = {1, 1},
                   .lanes = {1, 1},
                   .charge = bptt_charge_of(loop->loop.kind)};
    set_operands(&made, &l);
    const bool alone = c->group_rows * c->group_cols == 1;
    if (!(alone ? grid_of_rows : grid_of_tiles)(&made, &l, c, limits)) return false;
    *out = made;
    return true;
}
