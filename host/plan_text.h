// Prints plans as text: for `bptt bench --plan`, as illustration of device/DESIGN.md, for debugging.
#ifndef PLAN_TEXT_H
#define PLAN_TEXT_H

#include "bptt.h"

#include <stdio.h>

// One line for each op: opcode, operands (name in the run, rows x cols, "'" if transposed, rows moved per iteration of
// its loop), "->" before a result that is overwritten, "+->" before one that is accumulated, and the bytes read and
// written in one run of the plan. Loop bodies are indented.
struct bptt_plan;
void plan_write_text(const bptt_run *r, const struct bptt_plan *p, FILE *f);
// The plan of a training window. r is open with gradient = 1.
void run_write_plan(const bptt_run *r, FILE *f);

#endif
