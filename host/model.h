// Internals of bptt_model: device, tensors, memory layout.
#ifndef MODEL_H
#define MODEL_H

#include "backends.h"
#include "layout.h"

enum { PARTS = 4, MAX_BLOCKS = 8 }; // of bptt_part; of z

// The tensors that a layer may have, in the order of the model's table.
typedef enum layer_tensor { WEIGHT_IH, WEIGHT_HH, WEIGHT_MIXED, BIAS_IH, BIAS_HH, STATE_0, LAYER_TENSORS } layer_tensor;

// In memory every weight is [in][out], the transpose of PyTorch's; a bias is one row.
typedef struct tensor {
    bptt_tensor info;
    layer_tensor kind;    // LAYER_TENSORS: of the decoder
    bptt_mat part[PARTS]; // [in][out]; buf NULL if the optimizer has no such moment
} tensor;

struct bptt_model {
    bptt_model_config config; // backend points to the device's own name, device to number (NULL: the backend has one)
    bptt_device *device;
    bptt_device_info info;
    char number[16];               // of the device within its backend
    bool cell_assumed;             // loaded from a file that does not name its cell
    const bptt_run *run_in_flight; // the run with windows in flight; NULL: none
    size_t V, I, O, H, L;          // O: outputs of the decoder: V, or the width of dense targets
    const bptt_cell_row *cell;
    size_t S; // states of the cell
    size_t tensors;
    tensor *tensor;
    size_t per_layer; // tensors of one layer
    bptt_buf *block[PARTS][LAYOUT_BLOCKS];
    bptt_mat whole[PARTS]; // each part as one row, padding included: [1][words]
    bptt_mat scale;        // [1][2] sums: loss scale, good windows since it last changed; absent but for FP16
    bptt_buf *scale_block[LAYOUT_BLOCKS];
    uint64_t updates;          // including windows in flight
    unsigned char *vocabulary; // [V] or NULL
};

// The blocks of z that belong to a tensor of a layer: neighbouring ones, in the order of its rows in a file. Of the
// learned initial state: the blocks of the states.
typedef struct layer_blocks {
    size_t first, count;              // count 0: cells of this configuration have no such tensor
    unsigned char at[2 * MAX_BLOCKS]; // [count]: block of the k-th block of H rows
} layer_blocks;
layer_blocks model_blocks(const bptt_model_config *c, layer_tensor which);

// Outputs of the decoder: O.
size_t model_outputs(const bptt_model_config *c);
// Opens a model on a given backend table (bptt_model_open looks the table up by name).
bptt_status bptt_model_open_on(const bptt_backend *b, const bptt_model_config *c, bptt_model **m, bptt_error *e);
// Opens a model on a picked device. If an automatic pick fails (except NO_MEMORY, BAD_CONFIG), tries the fallback.
bptt_status model_open_chosen(const choice *ch, const bptt_model_config *c, bptt_model **m, bptt_error *e);
// A tensor of layer l; buf is NULL if it does not exist.
bptt_mat model_layer(const bptt_model *m, bptt_part part, size_t l, layer_tensor which);
bptt_mat model_decoder_weight(const bptt_model *m, bptt_part part); // [H][O]
bptt_mat model_decoder_bias(const bptt_model *m, bptt_part part);   // [1][O]
// Loss scale and its count of good windows; m->scale must be present.
bptt_status model_read_scale(bptt_model *m, double scale[2], bptt_error *e);
bptt_status model_write_scale(bptt_model *m, const double scale[2], bptt_error *e);
// BAD_INPUT unless t is a type of the public interface. name: the caller's parameter.
bptt_status check_type(const char *name, bptt_type t, bptt_error *e);
// Device memory of a model of this configuration, in bytes.
bptt_status model_size(const bptt_backend *b, const bptt_model_config *c, size_t *bytes, bptt_error *e);

#endif
