// A layer's loop as one launch: the grid of the whole-loop kernels, and where they are worth it.
#include "cl_tiles.h"
#include "lower/layer_loop.h"
#include "lower/sizes.h"

#include <stdint.h>

enum {
    WARP = 32,
    LEAST_ROWS = 4,           // with fewer, a row of w is read from cache for too little work
    MOST_IN_CACHE = 512 * 512 // elements of w: beyond, each unit would fetch all of w from afar at every step, where
                              // the product alone gives each unit a part of it
};

// One work-item takes a group's rows: at most window_rows, and groups that share the units evenly. False: steps are
// faster.
static bool grid_of_rows(launch *l, size_t B, size_t H, const tile_class *c, const cl_limits *limits)
{
    if (H > MOST_IN_CACHE / H && !limits->forced) return false;
    const size_t units = limits->units ? limits->units : 1, needed = pieces_of(B, c->window_rows);
    const size_t even = pieces_of(needed, units) * units, sensible = pieces_of(B, LEAST_ROWS);
    const size_t groups = even <= sensible ? even : sensible > needed ? sensible : needed;
    l->groups[0] = groups;
    return true;
}

// The group's lanes share columns; tiles of the rows, and perhaps w, lie in local memory. False: no room.
static bool grid_of_tiles(launch *l, size_t B, size_t H, const tile_class *c, const cl_limits *limits)
{
    const size_t groups = pieces_of(B, c->window_rows), tiles = 2 * c->window_rows * H * sizeof(float);
    size_t lanes = pieces_of(H, WARP) * WARP;
    if (lanes > c->window_lanes) lanes = c->window_lanes;
    if (H > limits->local_memory || tiles > limits->local_memory) return false;
    const size_t room = limits->local_memory - tiles;
    const bool resident = limits->local_is_real && H <= room / sizeof(float) / H;
    l->constants.layer.resident = resident;
    l->local_bytes = tiles + (resident ? H * H * sizeof(float) : 0);
    l->groups[0] = groups;
    l->lanes[0] = lanes;
    return true;
}

bool cl_loop_launch(const bptt_op *loop, const tile_class *c, const cl_limits *limits, launch *out)
{
    layer_loop l;
    if (!layer_loop_of(loop, &l)) return false;
    launch made = {.kernel = l.backward ? TUNED_BACKWARD : TUNED_FORWARD,
                   .operands = l.backward ? 5 : 6,
                   .constants.layer = {.stride_h = (word)l.h.move[0],
                                       .stride_dz = (word)l.dz.move[0],
                                       .stride_kept = (word)l.kept.move[0],
                                       .stride_keep = (word)l.keep.move[0],
                                       .T = (count)l.T,
                                       .B = (count)l.B,
                                       .H = (count)l.H,
                                       .cell = (int)l.cell,
                                       .masked = l.masked},
                   .constant_bytes = sizeof(layer_constants),
                   .groups = {1, 1},
                   .lanes = {1, 1},
                   .charge = bptt_charge_of(loop->loop.kind)};
    const bptt_mat forward[] = {l.keep, l.h, l.kept, l.w, l.b, l.b2};
    const bptt_mat backward[] = {l.keep, l.h, l.dz, l.w, l.dkept};
    for (size_t i = 0; i < made.operands; i++) {
        made.arg[i] = l.backward ? backward[i] : forward[i];
        made.arg[i].move[0] = made.arg[i].move[1]; // the launch takes the loop's place in the loop around it
        made.arg[i].move[1] = 0;
    }
    const bool alone = c->group_rows * c->group_cols == 1;
    if (!(alone ? grid_of_rows : grid_of_tiles)(&made, l.B, l.H, c, limits)) return false;
    *out = made;
    return true;
}
