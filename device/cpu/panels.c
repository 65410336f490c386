#include "panels.h"
#include "host_memory.h"

enum { STEPS = 4 }; // least steps of a loop whose weights are packed

static bool packable(const bptt_op *s, size_t T)
{
    const bptt_mat a = s->arg[0], b = s->arg[1], y = s->arg[2];
    return s->opcode == BPTT_GEMM && y.rows > 1 && T >= STEPS && b.move[0] == 0 && !a.t && !b.t && !y.t &&
           s->alpha == 1;
}

static size_t floats_of(const loops *l, const bptt_op *s) { return l->packed_floats(s->arg[1].rows, s->arg[1].cols); }

size_t panels_room(const loops *l, const bptt_plan *p)
{
    size_t most = 0;
    for (size_t i = 0; i < p->ops; i++) {
        size_t sum = 0;
        if (p->op[i].opcode != BPTT_LOOP) continue;
        for (size_t k = 1; k <= p->op[i].loop.body && i + k < p->ops; k++)
            if (packable(&p->op[i + k], p->op[i].loop.T)) sum += floats_of(l, &p->op[i + k]);
        if (sum > most) most = sum;
    }
    return most;
}

typedef struct packing {
    const loops *l;
    bptt_mat from;
    float *to;
} packing;

static void pack_one(void *work, size_t i, unsigned thread)
{
    (void)thread;
    const packing *p = work;
    const float *from = (const float *)p->from.buf->data + p->from.at;
    p->l->pack(p->from.rows, p->from.cols, from, p->from.ld, i, p->to);
}

void panels_pack(const loops *l, pool *p, const bptt_op *body, size_t n, size_t T, float *memory, const float **at)
{
    for (size_t k = 0; k < n; k++) {
        at[k] = NULL;
        if (!packable(&body[k], T)) continue;
        const bptt_mat b = body[k].arg[1];
        pool_run(p, l->packed_blocks(b.rows, b.cols), pack_one, &(packing){l, b, memory});
        at[k] = memory;
        memory += floats_of(l, &body[k]);
    }
}
