# The target bptt_gpu_micro, which builds bench/gpu_micro when it is asked for, where nvcc is: CUDA is no language here.
find_program(BPTT_NVCC nvcc PATHS /usr/local/cuda/bin)
mark_as_advanced(BPTT_NVCC)
if(BPTT_NVCC)
  set(micro ${bptt_output}/bench/gpu_micro) # not beside the target's own name: Ninja takes both for one
  file(MAKE_DIRECTORY ${bptt_output}/bench)
  add_custom_command(OUTPUT ${micro}
    COMMAND ${BPTT_NVCC} -std=c++17 -O3 -gencode "arch=compute_90,code=[sm_90,compute_90]" -Werror all-warnings
            -Xcompiler -Wall,-Wextra -cudart static -o ${micro} ${CMAKE_CURRENT_SOURCE_DIR}/bench/gpu_micro.cu
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/bench/gpu_micro.cu ${CMAKE_CURRENT_SOURCE_DIR}/bench/gpu_micro_kernels.h
    VERBATIM)
  add_custom_target(bptt_gpu_micro DEPENDS ${micro})
endif()
