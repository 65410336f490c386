// Model files: what bptt_model_save and the trainer's complete state share. The format: host/README.md.
#ifndef MODEL_FILE_H
#define MODEL_FILE_H

#include "fields.h"
#include "model.h"
#include "safetensors.h"

enum { PAIRS = 48 };

// Metadata of a file: keys are static strings, values are kept here.
typedef struct metadata {
    st_pair pair[PAIRS];
    size_t n;
    char value[PAIRS][72];
    char vocabulary[513];
} metadata;

void put_text(metadata *m, const char *key, const char *value);
void put_count(metadata *m, const char *key, uint64_t value);
void put_real(metadata *m, const char *key, double value);
// The saved fields of one struct; enumerations as words. Reading takes the numbers of older files for them too.
void put_fields(metadata *m, field_owner owner, const void *config);
void put_model(metadata *m, const bptt_model *model); // "format", configuration, vocabulary, updates

// BAD_FILE if the key is absent or its value is no number.
bptt_status get_count(const st_reader *r, const char *key, uint64_t *value, bptt_error *e);
bptt_status get_real(const st_reader *r, const char *key, double *value, bptt_error *e);

// BAD_FILE if one of the saved fields is absent, of another kind, or out of range.
bptt_status get_fields(const st_reader *r, field_owner owner, void *config, bptt_error *e);

// Weights as PyTorch names them: with one bias a bias_hh of zeros goes beside each bias_ih.
size_t weight_entries(const bptt_model *m, st_tensor *t); // t NULL: count only
bptt_status write_weights(bptt_model *m, st_writer *w, bptt_error *e);
// Tensors of another part, named train.<prefix>.<name>; 0 where the model has no such part.
size_t part_entries(const bptt_model *m, bptt_part part, const char *prefix, st_tensor *t);
bptt_status write_part(bptt_model *m, bptt_part part, st_writer *w, bptt_error *e);
bptt_status read_part(bptt_model *m, bptt_part part, const char *prefix, st_reader *r, bptt_error *e);

// The end of a file: in place if all was written, else gone; returns what went wrong first.
bptt_status close_file(st_writer *w, bptt_status written, bptt_error *e);

// Opens the model of a file: configuration from its metadata or, without, from its tensors; weights; vocabulary.
// From c (may be NULL): compute, the type, and the cell where the file does not name it.
bptt_status model_from(st_reader *r, const bptt_model_config *c, bptt_model **m, bptt_error *e);

#endif
