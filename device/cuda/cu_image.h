// The device program kernels.cu as the build compiled it: a fat binary for cuModuleLoadData, machine code for some
// architectures and PTX for later ones.
#ifndef CU_IMAGE_H
#define CU_IMAGE_H

#include <stddef.h>

extern const unsigned char cuda_image[]; // aligned to 16 bytes
extern const size_t cuda_image_size;     // 0: built without nvcc, there is no program
extern const char cuda_image_of[];       // "sm_80 sm_90 compute_90"; "none: built without nvcc"

#endif
