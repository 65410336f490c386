// Sizes of the probe, for the host and for the OpenCL program.
#ifndef CL_PROBE_H
#define CL_PROBE_H

#define PROBE_INPUTS 4096 // triples (a, b, c)
#define PROBE_FUNCTIONS 8

#endif
