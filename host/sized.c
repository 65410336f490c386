// Structs of callers that were built with an older or a newer bptt.h.
#include "sized.h"
#include "config.h"
#include "error.h"

#include <stddef.h>
#include <string.h>

#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

// Last members of the shortest accepted structs. They never change.
enum {
    MODEL_LEAST = END_OF(bptt_model_config, clip),
    RUN_LEAST = END_OF(bptt_run_config, steps),
    WINDOW_LEAST = END_OF(bptt_window, target),
    MODEL_AT = offsetof(bptt_trainer_config, model),
    REST_AT = END_OF(bptt_trainer_config, model),
    REST_LEAST = END_OF(bptt_trainer_config, rate) - REST_AT,
    REST = sizeof(bptt_trainer_config) - REST_AT,
    MOST = 4096 // a larger size means that it was never set
};

// The structs have no padding at the end, since a new member must not lie in an older caller's padding.
#define NO_PADDING(type, last) \
    _Static_assert(sizeof(void *) < 8 || sizeof(type) == END_OF(type, last), #type " ends with padding")
NO_PADDING(bptt_model_config, learned_state);
NO_PADDING(bptt_compute, reserved);
NO_PADDING(bptt_run_config, reserved);
NO_PADDING(bptt_window, length);
NO_PADDING(bptt_trainer_config, burn_in);
_Static_assert(MODEL_AT == sizeof(size_t), "a nested configuration follows the size, whatever its own");

// A struct passed by callers, with the words of its error messages.
typedef struct kind {
    const char *type, *size, *defaults; // defaults: the function that sets the size, for messages
    size_t least, whole;                // bytes: of the shortest struct, of the current one
    bptt_status status;
} kind;

static const kind model_kind = {"bptt_model_config",       "size",         "call bptt_model_defaults, or ", MODEL_LEAST,
                                sizeof(bptt_model_config), BPTT_BAD_CONFIG};
static const kind nested_kind = {
    "bptt_model_config",       "model.size",   "call bptt_trainer_defaults, or ", MODEL_LEAST,
    sizeof(bptt_model_config), BPTT_BAD_CONFIG};
static const kind run_kind = {"bptt_run_config",       "size",         "call bptt_run_defaults, or ", RUN_LEAST,
                              sizeof(bptt_run_config), BPTT_BAD_CONFIG};
static const kind trainer_kind = {
    "bptt_trainer_config",       "size",         "call bptt_trainer_defaults, or ", MODEL_AT + MODEL_LEAST + REST_LEAST,
    sizeof(bptt_trainer_config), BPTT_BAD_CONFIG};
static const kind window_kind = {"bptt_window", "size", "", WINDOW_LEAST, sizeof(bptt_window), BPTT_BAD_INPUT};

static bptt_status check_size(const kind *k, size_t size, bptt_error *e)
{
    if (size >= k->least && size <= MOST) return BPTT_OK;
    return bptt_fail(e, k->status, "%s is %zu: %sset %s to sizeof(%s)", k->size, size, k->defaults, k->size, k->type);
}

// Copies `size` bytes of a caller's struct over *whole [whole_size], which holds the defaults.
static bptt_status copy_struct(const kind *k, void *whole, size_t whole_size, const void *from, size_t size,
                               bptt_error *e)
{
    const unsigned char *byte = from;
    for (size_t i = whole_size; i < size; i++)
        if (byte[i])
            return bptt_fail(
                e, k->status,
                "a %s sets members that this library (%s) does not know: the program was built for a newer bptt; "
                "leave them 0, or install that version",
                k->type, BPTT_VERSION);
    memcpy(whole, from, size < whole_size ? size : whole_size);
    return BPTT_OK;
}

// Copies a caller's struct over *whole, which holds the defaults; whole->size does not change.
static bptt_status struct_in(const kind *k, void *whole, const void *from, bptt_error *e)
{
    size_t size;
    memcpy(&size, from, sizeof size);
    bptt_status s = check_size(k, size, e);
    if (!s) s = copy_struct(k, whole, k->whole, from, size, e);
    memcpy(whole, &k->whole, sizeof k->whole);
    return s;
}

bptt_status model_config_in(bptt_model_config *whole, const bptt_model_config *c, bptt_error *e)
{
    model_config_defaults(whole);
    return struct_in(&model_kind, whole, c, e);
}

bptt_status run_config_in(bptt_run_config *whole, const bptt_run_config *c, bptt_error *e)
{
    bptt_run_defaults(whole);
    const bptt_status s = struct_in(&run_kind, whole, c, e);
    if (s || !whole->reserved) return s;
    return bptt_fail(e, BPTT_BAD_CONFIG, "`reserved` of the run is %u, but must be 0 in this version (%s)",
                     whole->reserved, BPTT_VERSION);
}

bptt_status window_in(bptt_window *whole, const bptt_window *w, bptt_error *e)
{
    *whole = (bptt_window){0};
    const bptt_status s = struct_in(&window_kind, whole, w, e);
    if (s || !whole->reserved) return s;
    return bptt_fail(e, BPTT_BAD_INPUT, "`reserved` of the window is %u, but must be 0 in this version (%s)",
                     whole->reserved, BPTT_VERSION);
}

// The nested configuration has the caller's size too, which determines the offsets of the members after it.
bptt_status trainer_config_in(bptt_trainer_config *whole, const bptt_trainer_config *c, bptt_error *e)
{
    trainer_config_defaults(whole);
    bptt_status s = check_size(&trainer_kind, c->size, e);
    if (s) return s;
    const unsigned char *const from = (const unsigned char *)c;
    const size_t model = c->model.size;
    s = check_size(&nested_kind, model, e);
    if (!s && model > c->size - MODEL_AT - REST_LEAST)
        s = bptt_fail(e, BPTT_BAD_CONFIG, "size is %zu with a model.size of %zu: call bptt_trainer_defaults", c->size,
                      model);
    if (!s) s = struct_in(&nested_kind, &whole->model, from + MODEL_AT, e);
    const size_t rest = s ? 0 : c->size - MODEL_AT - model;
    if (!s) s = copy_struct(&trainer_kind, (unsigned char *)whole + REST_AT, REST, from + MODEL_AT + model, rest, e);
    return s;
}

// ---- out ------------------------------------------------------------------------------------------------------------

void struct_out(void *to, size_t size, const void *whole, size_t whole_size)
{
    memcpy(to, whole, size < whole_size ? size : whole_size);
    if (size > whole_size) memset((unsigned char *)to + whole_size, 0, size - whole_size);
}

static void set_size(void *to, size_t size)
{
    if (size >= sizeof size) memcpy(to, &size, sizeof size);
}

void model_config_out(void *to, size_t size, const bptt_model_config *whole)
{
    struct_out(to, size, whole, sizeof *whole);
    set_size(to, size);
}

void trainer_config_out(void *to, size_t size, size_t model_size, const bptt_trainer_config *whole)
{
    unsigned char *const at = to;
    if (size < MODEL_AT || model_size > size - MODEL_AT) return; // no version of the header has these sizes
    set_size(at, size);
    model_config_out(at + MODEL_AT, model_size, &whole->model);
    struct_out(at + MODEL_AT + model_size, size - MODEL_AT - model_size, (const unsigned char *)whole + REST_AT, REST);
}

// ---- defaults -------------------------------------------------------------------------------------------------------

void bptt_model_defaults_sized(bptt_model_config *c, size_t size)
{
    bptt_model_config whole;
    model_config_defaults(&whole);
    model_config_out(c, size, &whole);
}

void bptt_run_defaults_sized(bptt_run_config *c, size_t size)
{
    const bptt_run_config whole = {.size = size, .batch = 1, .steps = 1};
    struct_out(c, size, &whole, sizeof whole);
}

void bptt_trainer_defaults_sized(bptt_trainer_config *c, size_t size, size_t model_size)
{
    bptt_trainer_config whole;
    trainer_config_defaults(&whole);
    trainer_config_out(c, size, model_size, &whole);
}
