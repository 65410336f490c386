# bench/gpu_micro.cu, only when asked for and where nvcc is: CUDA is no language of this project.
find_program(BPTT_NVCC nvcc PATHS /usr/local/cuda/bin)
mark_as_advanced(BPTT_NVCC)
if(BPTT_NVCC)
  set(micro ${CMAKE_BINARY_DIR}/bench/gpu_micro) # not beside the target's own name: Ninja takes both for one
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  add_custom_command(OUTPUT ${micro}
    COMMAND ${BPTT_NVCC} -std=c++17 -O3 -gencode "arch=compute_90,code=[sm_90,compute_90]" -Werror all-warnings
            -Xcompiler -Wall,-Wextra -cudart static -o ${micro} ${CMAKE_CURRENT_SOURCE_DIR}/bench/gpu_micro.cu
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/bench/gpu_micro.cu ${CMAKE_CURRENT_SOURCE_DIR}/bench/gpu_micro_kernels.h
    VERBATIM)
  add_custom_target(gpu_micro DEPENDS ${micro})
endif()
