// Functions shared by model files and checkpoints. host/README.md describes the format.
#ifndef MODEL_FILE_H
#define MODEL_FILE_H

#include "fields.h"
#include "model.h"
#include "safetensors.h"

enum { PAIRS = 48 };

// Metadata of a file. Keys are static strings, values are stored here.
typedef struct metadata {
    st_pair pair[PAIRS];
    size_t n;
    char value[PAIRS][72];
    char vocabulary[513];
} metadata;

void put_text(metadata *m, const char *key, const char *value);
void put_count(metadata *m, const char *key, uint64_t value);
void put_real(metadata *m, const char *key, double value);
// Writes the saved fields of one struct, enumerations as words. Reading also accepts the numbers of older files.
void put_fields(metadata *m, field_owner owner, const void *config);
void put_model(metadata *m, const bptt_model *model); // "format", configuration, vocabulary, updates

// BAD_FILE if the key is missing or its value is not a number.
bptt_status get_count(const st_reader *r, const char *key, uint64_t *value, bptt_error *e);
bptt_status get_real(const st_reader *r, const char *key, double *value, bptt_error *e);

// BAD_FILE if a saved field is missing (but for those that are not saved while 0), of another kind, or out of range.
bptt_status get_field(const st_reader *r, const field *f, void *config, bptt_error *e);
bptt_status get_fields(const st_reader *r, field_owner owner, void *config, bptt_error *e);

// Name of tensor i in a model file, and the number of zero rows before its own: bias_hn is stored as a bias_hh.
size_t file_zeros(const bptt_model *m, size_t i, char name[48]);
// Weights under PyTorch's names; with one bias, a bias_hh of zeros follows each bias_ih if the cell has no bias_hn.
size_t weight_entries(const bptt_model *m, st_tensor *t); // t NULL: count only
bptt_status write_weights(bptt_model *m, st_writer *w, bptt_error *e);
// Tensors of another part, named train.<prefix>.<name>; 0 if the model has no such part.
size_t part_entries(const bptt_model *m, bptt_part part, const char *prefix, st_tensor *t);
bptt_status write_part(bptt_model *m, bptt_part part, st_writer *w, bptt_error *e);
bptt_status read_part(bptt_model *m, bptt_part part, const char *prefix, st_reader *r, bptt_error *e);

// Finishes a file: commits it if s is OK, else removes it; returns the first failure.
bptt_status close_file(st_writer *w, bptt_status written, bptt_error *e);

// Opens the model of a file: configuration from its metadata or, if absent, from its tensors; weights; vocabulary.
// Uses of c (may be NULL): compute, type, and the cell if the file does not name it.
bptt_status model_from(st_reader *r, const bptt_model_config *c, bptt_model **m, bptt_error *e);

#endif
