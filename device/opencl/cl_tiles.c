// Sizes that suit a kind of device, and the grids they give the small kernels.
#include "cl_tiles.h"
#include "lower/sizes.h"

#include <stdio.h>

const char *const tuned_name[CL_KERNELS - KERNELS] = {"multiply", "window_forward",       "window_backward",
                                                      "probe",    "gates_window_forward", "gates_window_backward"};

// A work-item alone in its group, three widths of vector registers; a group's lanes share local memory: two sizes.
// lane_rows of the first kind: as many as leave room in the registers for two vectors of b and one of a.
enum { LANE_16, LANE_8, LANE_4, GROUP_256, GROUP_64 };
static const tile_class table[] = {
    [LANE_16] = {"one lane, 16 floats wide", 1, 1, 1, 1, 14, 32, 128, 16, 56, 1},
    [LANE_8] = {"one lane, 8 floats wide", 1, 1, 1, 1, 6, 16, 128, 8, 24, 1},
    [LANE_4] = {"one lane, 4 floats wide", 1, 1, 1, 1, 6, 8, 128, 4, 24, 1},
    [GROUP_256] = {"groups of 256", 64, 64, 16, 16, 4, 4, 16, 1, 4, 256},
    [GROUP_64] = {"groups of 64", 32, 32, 8, 8, 4, 4, 8, 1, 2, 64},
};

enum { LOCAL_OF_256 = 16 * 1024 }; // bytes a device of the larger class must have

const tile_class *tile_class_of(const cl_limits *l)
{
    if (l->kind == BPTT_CPU || l->largest_group < 64)
        return &table[l->vector_width >= 16 ? LANE_16 : l->vector_width == 4 ? LANE_4 : LANE_8];
    return &table[l->largest_group >= 256 && l->local_memory >= LOCAL_OF_256 ? GROUP_256 : GROUP_64];
}

static bool one_lane(const tile_class *c) { return c->group_rows * c->group_cols == 1; }

void tile_options(const tile_class *c, char *out, size_t room)
{
    snprintf(out, room,
             "%s -DGROUP_ROWS=%u -DGROUP_COLS=%u -DLANE_ROWS=%u -DLANE_COLS=%u -DDEPTH=%u -DVECTOR_WIDTH=%u "
             "-DWINDOW_ROWS=%u",
             one_lane(c) ? " -DONE_LANE" : "", c->group_rows, c->group_cols, c->lane_rows, c->lane_cols, c->depth,
             c->vector, c->window_rows);
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }

// groups of lanes[0] x lanes[1] work-items.
static void grid(launch *l, const size_t groups[2], const size_t lanes[2])
{
    for (int d = 0; d < 2; d++) {
        l->groups[d] = most(groups[d], 1);
        l->lanes[d] = lanes[d];
    }
}

enum {
    GROUPS_A_UNIT = 16,      // kernels stride over what there is: more groups than this only cost time
    TURNS = 4,               // groups for each unit where one lane does the work of a group
    SMALL_PRODUCT = 1 << 17, // multiplications not worth a second thread
    LARGE_PRODUCT = 1 << 27  // worth several groups a unit, so that a late thread does not hold up the rest
};

// One work-item does all of a group: strips of columns or rows of tiles, whichever lets the groups read less twice. To
// copy a transposed a costs more than to copy b.
static void grid_of_lanes(launch *l, const tile_class *c, const cl_limits *limits)
{
    const size_t rows = pieces_of(l->arg[2].rows, c->lane_rows), cols = pieces_of(l->arg[2].cols, c->lane_cols);
    const double work = (double)l->arg[2].rows * (double)l->arg[2].cols * (double)l->arg[0].cols;
    const size_t units = most(limits->units, 1);
    const size_t want = work < SMALL_PRODUCT ? 1 : work < LARGE_PRODUCT || l->arg[0].t ? units : units * TURNS;
    size_t groups[2];
    if (l->arg[2].cols >= l->arg[2].rows && !l->arg[0].t) {
        groups[0] = least(want, cols);
        groups[1] = least(pieces_of(want, groups[0]), rows);
    } else {
        groups[1] = least(want, rows);
        groups[0] = least(pieces_of(want, groups[1]), cols);
    }
    grid(l, groups, (size_t[2]){1, 1});
}

static void grid_of_product(launch *l, const tile_class *c, const cl_limits *limits)
{
    if (one_lane(c)) {
        grid_of_lanes(l, c, limits);
        return;
    }
    const size_t rows = c->group_rows * c->lane_rows, cols = c->group_cols * c->lane_cols;
    // Rows along id 0: along the other some devices take 65535 groups at most.
    grid(l, (size_t[2]){pieces_of(l->arg[2].rows, rows), pieces_of(l->arg[2].cols, cols)},
         (size_t[2]){c->group_cols, c->group_rows});
}

static void grid_of_elements(launch *l, const tile_class *c, const cl_limits *limits)
{
    if (one_lane(c)) {
        grid(l, (size_t[2]){1, least(l->rows, most(limits->units, 1) * TURNS)}, (size_t[2]){1, 1});
        return;
    }
    size_t lanes[2] = {1, 1};
    const size_t all = c->group_rows * c->group_cols;
    while (lanes[0] < c->lanes_of_rows && lanes[0] < l->cols) lanes[0] *= 2;
    while (lanes[0] * lanes[1] < all && lanes[1] < l->rows) lanes[1] *= 2;
    const size_t room = GROUPS_A_UNIT * most(limits->units, 1), cols = least(pieces_of(l->cols, lanes[0]), room);
    grid(l, (size_t[2]){cols, least(pieces_of(l->rows, lanes[1]), most(room / most(cols, 1), 1))}, lanes);
}

void cl_set_grid(launch *l, const tile_class *c, const cl_limits *limits)
{
    if (l->kernel == KERNEL_gemm) {
        l->kernel = TUNED_MULTIPLY;
        grid_of_product(l, c, limits);
    } else if (l->grid == GRID_ELEMENTS) {
        grid_of_elements(l, c, limits);
    } else {
        const size_t room = most(limits->units, 1) * (one_lane(c) ? TURNS : GROUPS_A_UNIT);
        grid(l, (size_t[2]){least(l->rows, room), 1}, (size_t[2]){c->lanes_of_groups, 1});
    }
}
