// Trace file: one update of a training run, as computed by the backend. Written by bptt_trainer_trace, read by verify.
//
// A safetensors file TRACE_FILE in a folder. It holds the weights before the update, as in a model file, and:
//   train.gradient.<name>   the gradient of each tensor, before clipping
//   trace.token, target     I64 [T][B]
//   trace.keep              F32 [T][B]: 0 where a document starts, else 1; multiplies all states before the step
//   trace.states            [L][T+1][B][S*H]: block 0 is the state before the window, block t+1 that after step t;
//                           H columns for each of the cell's S states, h first
//   trace.dz                [L][T][B][blocks*H]: gradient of the loss with respect to the cell's pre-activations, in
//                           the order of device/gated_cells.h
//   trace.dstates           gated cells: [L][T+1][B][S*H]: gradient of each state on all paths from it
//   trace.mixed             cells with a second product: [L][T][B][H], its operand u
//   trace.losses            F64 [T][B]
// and the metadata of a model file, with trace = TRACE_VERSION, trace.update (its number, from 1), trace.batch,
// trace.steps, trace.precision, trace.backend and trace.device in words.
#ifndef TRACE_H
#define TRACE_H

#define TRACE_FILE "trace.safetensors"
#define TRACE_VERSION 2

#endif
