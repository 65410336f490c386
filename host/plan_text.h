// A plan in words: for `bptt bench --plan`, for readers of device/DESIGN.md, for a debugger.
#ifndef PLAN_TEXT_H
#define PLAN_TEXT_H

#include "bptt.h"

#include <stdio.h>

// One line an op: its opcode, its operands (name in the run, rows x cols, "'" if transposed, how many rows it moves per
// step of its loop), "->" before a result that is overwritten and "+->" before one that is added to, and the bytes that
// it reads and writes in one run of the plan. Bodies of loops are indented.
struct bptt_plan;
void plan_write_text(const bptt_run *r, const struct bptt_plan *p, FILE *f);
// The plan of a training window. r is open with gradient = 1.
void run_write_plan(const bptt_run *r, FILE *f);

#endif
