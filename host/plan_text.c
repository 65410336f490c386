// Prints plans as text.
#include "plan_text.h"
#include "run.h"

#include <string.h>

enum { NAME = 64 };

// ---- names of matrices ----------------------------------------------------------------------------------------------

// True if m begins inside the matrix `whole`; *row is then its first row.
static bool begins_in(const bptt_mat *m, const bptt_mat *whole, size_t *row)
{
    const size_t words = whole->rows * whole->ld;
    if (!whole->buf || m->buf != whole->buf || m->at < whole->at || m->at >= whole->at + words) return false;
    *row = (m->at - whole->at) / whole->ld;
    return true;
}

typedef struct named {
    const char *name;
    const bptt_mat *m;
} named;

static bool name_of_run(const bptt_run *r, const bptt_mat *m, char name[NAME], size_t *row)
{
    const run_memory *mem = &r->mem;
    const named one[] = {
        {"token", &mem->token},        {"target", &mem->target}, {"x", &mem->dense},     {"weight", &mem->weight},
        {"keep", &mem->keep},          {"state", &mem->state},   {"dkept", &mem->dkept}, {"dstate", &mem->dstate},
        {"du", &mem->dmixed},          {"dlast", &mem->dlast},   {"dx", &mem->dx},       {"logits", &mem->logits},
        {"losses", &mem->losses},      {"stat", &mem->stat},     {"dh a", &mem->dh[0]},  {"dh b", &mem->dh[1]},
        {"W_out'", &mem->out_flipped}, {"1-keep", &mem->fresh},  {"-1", &mem->minus}};
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        if (begins_in(m, one[i].m, row)) return snprintf(name, NAME, "%s", one[i].name) > 0;
    for (size_t l = 0; l < r->model->L; l++) {
        const bptt_mat none = {0};
        const bool back = r->config.gradient;
        const named each[] = {{"h", back || l < 2 ? &mem->h[l] : &none},
                              {"kept", back || l < 1 ? &mem->kept[l] : &none},
                              {"z", back || l < 1 ? &mem->gates[l] : &none},
                              {"u", back || l < 1 ? &mem->mixed[l] : &none},
                              {"W_mixed'", &mem->mixed_flipped[l]},
                              {"dh", &mem->dz[l]},
                              {"W_hh'", &mem->hh_flipped[l]},
                              {"W_ih'", &mem->ih_flipped[l]}};
        for (size_t i = 0; i < sizeof each / sizeof *each; i++)
            if (begins_in(m, each[i].m, row)) return snprintf(name, NAME, "%s[%zu]", each[i].name, l) > 0;
    }
    return false;
}

static bool name_of_model(const bptt_model *m, const bptt_mat *x, char name[NAME], size_t *row)
{
    static const char *const part[PARTS] = {"", "d ", "m ", "v "};
    if (begins_in(x, &m->scale, row)) return snprintf(name, NAME, "scale") > 0;
    for (size_t k = 0; k < PARTS; k++) {
        const bool whole = x->rows == 1 && x->cols == m->whole[k].cols;
        if (whole && begins_in(x, &m->whole[k], row)) return snprintf(name, NAME, "%sall weights", part[k]) > 0;
        for (size_t i = 0; i < m->tensors; i++)
            if (begins_in(x, &m->tensor[i].part[k], row))
                return snprintf(name, NAME, "%s%s", part[k], m->tensor[i].info.name) > 0;
    }
    return false;
}

// ---- ops ------------------------------------------------------------------------------------------------------------

static void write_operand(const bptt_run *r, const bptt_mat *m, size_t depth, FILE *f)
{
    char name[NAME] = "?";
    size_t row = 0;
    if (!name_of_run(r, m, name, &row)) (void)name_of_model(r->model, m, name, &row);
    fprintf(f, "%s%s", name, m->t ? "'" : "");
    if (row) fprintf(f, "@%zu", row);
    fprintf(f, " %zux%zu", m->rows, m->cols);
    for (size_t k = 0; k < depth && k < 2; k++)
        if (m->move[k]) fprintf(f, k ? "(outer %+td)" : "(%+td)", m->move[k] / (ptrdiff_t)m->ld);
}

// Operands; those that are only written come last.
static void write_op(const bptt_run *r, const bptt_op *op, size_t depth, size_t times, FILE *f)
{
    const char *roles = bptt_opcode_roles[op->opcode];
    double bytes = 0;
    fprintf(f, "%-13s", bptt_opcode_name[op->opcode]);
    if (op->opcode >= BPTT_CELL_FORWARD && op->opcode <= BPTT_MIX_BACKWARD)
        fprintf(f, " %s", bptt_cell_row_of(op->cell)->word);
    if (op->alpha == -1) fprintf(f, " -");
    const char *between = " ";
    for (size_t k = 0; roles[k]; k++) {
        if (!op->arg[k].buf) continue;
        const bool result = k > 0 && roles[k + 1] == '\0' && strchr("=+O", roles[k]);
        fprintf(f, "%s", result ? roles[k] == '=' || !op->beta ? " -> " : " +-> " : between);
        write_operand(r, &op->arg[k], depth, f);
        between = ", ";
        bytes += (double)(op->arg[k].rows * op->arg[k].cols * bptt_type_size(op->arg[k].type)) * (double)times;
    }
    fprintf(f, "   %.3g kB\n", bytes / 1000);
}

static void write_ops(const bptt_run *r, const bptt_op *op, size_t n, size_t depth, size_t times, FILE *f)
{
    static const char *const kind[BPTT_LOOP_KINDS] = {"forward in time", "backward in time", "output", "blocks"};
    for (size_t i = 0; i < n; i += bptt_op_length(&op[i])) {
        fprintf(f, "%*s", (int)(2 + 2 * depth), "");
        if (op[i].opcode != BPTT_LOOP) {
            write_op(r, &op[i], depth, times, f);
            continue;
        }
        fprintf(f, "loop %s, %zu %s\n", kind[op[i].loop.kind], op[i].loop.T, op[i].loop.T == 1 ? "time" : "times");
        write_ops(r, &op[i + 1], op[i].loop.body, depth + 1, times * op[i].loop.T, f);
    }
}

void plan_write_text(const bptt_run *r, const bptt_plan *p, FILE *f) { write_ops(r, p->op, p->ops, 0, 1, f); }

void run_write_plan(const bptt_run *r, FILE *f) { plan_write_text(r, &r->plan[TRAIN], f); }
