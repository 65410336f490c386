# The CUDA backend: a module that is built everywhere and finds the driver and cuBLAS at run time. Its device program is
# a C file; without nvcc it holds none, and cuda_lacks says what is missing. CMake's own CUDA language is not used: a
# machine without a toolkit configures the same project.
#   CMAKE_CUDA_ARCHITECTURES  as CMake writes them: 90 is machine code and PTX, 80-real only the first, 90-virtual only
#                             the second; or one of nvcc's words: native, all, all-major
#   BPTT_NVCC                 the compiler; empty: none
find_program(BPTT_NVCC nvcc HINTS ${CUDAToolkit_ROOT} ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda
             PATH_SUFFIXES bin)
mark_as_advanced(BPTT_NVCC)
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90" CACHE STRING "What the CUDA kernels are compiled for")
elseif(NOT CMAKE_CUDA_ARCHITECTURES) # a parent's choice is kept, and its cache is not written to
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
endif()

# Flags and words of those architectures.
function(cuda_targets architectures flags words)
  set(f "")
  set(w "")
  foreach(a IN LISTS architectures)
    if(a MATCHES "^(native|all|all-major)$")
      list(APPEND f -arch=${a})
      list(APPEND w ${a})
    elseif(a MATCHES "^([0-9]+[af]?)(-real|-virtual)?$")
      if(NOT CMAKE_MATCH_2 STREQUAL "-virtual")
        list(APPEND f -gencode=arch=compute_${CMAKE_MATCH_1},code=sm_${CMAKE_MATCH_1})
        list(APPEND w sm_${CMAKE_MATCH_1})
      endif()
      if(NOT CMAKE_MATCH_2 STREQUAL "-real")
        list(APPEND f -gencode=arch=compute_${CMAKE_MATCH_1},code=compute_${CMAKE_MATCH_1})
        list(APPEND w compute_${CMAKE_MATCH_1})
      endif()
    else()
      message(FATAL_ERROR "bptt: CMAKE_CUDA_ARCHITECTURES holds \"${a}\"; it takes 90, 90-real, 90-virtual")
    endif()
  endforeach()
  if(NOT w)
    message(FATAL_ERROR "bptt: CMAKE_CUDA_ARCHITECTURES is empty; without any, -DBPTT_NVCC= is what is meant")
  endif()
  list(JOIN w " " w)
  set(${flags} ${f} PARENT_SCOPE)
  set(${words} ${w} PARENT_SCOPE)
endfunction()

# Nothing is fused or relaxed, nothing spills; not compressed, for old drivers know other ways of that than new nvcc.
set(cuda_options -std=c++17 -O3 -fmad=false -Xptxas -warn-spills,-warn-lmem-usage -Werror all-warnings -no-compress
    -fatbin)

# Whether that nvcc, with a host compiler that suits it, knows those architectures: asked once for each of them.
function(cuda_try works)
  if(NOT BPTT_NVCC_TRIED STREQUAL "${BPTT_NVCC} ${ARGN}")
    set(text ${CMAKE_CURRENT_BINARY_DIR}/nvcc_try.cu)
    file(WRITE ${text} "extern \"C\" __global__ void nothing(void) {}\n")
    execute_process(COMMAND ${BPTT_NVCC} ${cuda_options} ${ARGN} -o ${text}.fatbin ${text}
                    RESULT_VARIABLE failed OUTPUT_VARIABLE words ERROR_VARIABLE words)
    if(failed)
      message(WARNING "bptt: no kernels for CUDA, because ${BPTT_NVCC} refuses an empty one for ${cuda_words}:\n${words}"
              "CMAKE_CUDA_ARCHITECTURES chooses others")
      set(${works} OFF PARENT_SCOPE)
      return()
    endif()
    set(BPTT_NVCC_TRIED "${BPTT_NVCC} ${ARGN}" CACHE INTERNAL "What nvcc was seen to compile for")
  endif()
  set(${works} ON PARENT_SCOPE)
endfunction()

set(cuda_image ${CMAKE_CURRENT_BINARY_DIR}/cuda_image.c)
set(embed ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed_bytes.cmake)
set(cuda_works OFF)
set(cuda_lacks "")
if(BPTT_NVCC)
  cuda_targets("${CMAKE_CUDA_ARCHITECTURES}" cuda_flags cuda_words)
  cuda_try(cuda_works ${cuda_flags})
else()
  message(STATUS "bptt: no nvcc, so the CUDA module carries no kernels and cannot be used")
endif()
if(cuda_works)
  set(fatbin ${CMAKE_CURRENT_BINARY_DIR}/kernels.fatbin)
  file(GLOB cuda_text CONFIGURE_DEPENDS device/*.h device/cuda/*.cu device/cuda/*.cuh)
  set(cuda_choice ${CMAKE_CURRENT_BINARY_DIR}/cuda_choice.txt) # other flags: compile again
  file(GENERATE OUTPUT ${cuda_choice} CONTENT "${BPTT_NVCC} ${cuda_flags}\n")
  add_custom_command(OUTPUT ${fatbin}
    COMMAND ${BPTT_NVCC} ${cuda_options} -I${CMAKE_CURRENT_SOURCE_DIR}/device ${cuda_flags} -o ${fatbin}
            ${CMAKE_CURRENT_SOURCE_DIR}/device/cuda/kernels.cu
    DEPENDS ${cuda_text} ${cuda_choice} COMMENT "Compiling kernels.cu for ${cuda_words}" VERBATIM)
else()
  set(fatbin "")
  set(cuda_lacks "no nvcc")
  if(BPTT_NVCC)
    set(cuda_lacks "nvcc cannot compile for ${cuda_words}")
  endif()
  set(cuda_words "none: built without nvcc")
endif()
add_custom_command(OUTPUT ${cuda_image}
  COMMAND ${CMAKE_COMMAND} -DFILE=${fatbin} -DOUT=${cuda_image} "-DWORDS=${cuda_words}" -P ${embed}
  DEPENDS ${embed} ${fatbin} VERBATIM)

find_path(BPTT_CUDA_HEADERS cuda.h HINTS ${CUDAToolkit_ROOT} ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda
          PATH_SUFFIXES include)
find_path(BPTT_CUBLAS_HEADERS cublas_v2.h HINTS ${BPTT_CUDA_HEADERS})
mark_as_advanced(BPTT_CUDA_HEADERS BPTT_CUBLAS_HEADERS)
bptt_own_headers(BPTT_CUDA_HEADERS cuda.h)
bptt_own_headers(BPTT_CUBLAS_HEADERS cublas_v2.h)
file(GLOB cuda_sources RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS device/cuda/*.c)
list(REMOVE_ITEM cuda_sources device/cuda/cu_headers.c)
list(APPEND cuda_sources device/lower/half_copies.c device/lower/inflight.c device/lower/lower_plan.c device/lower/order.c)
add_library(bptt_cuda_objects OBJECT ${cuda_sources} ${cuda_image})
target_link_libraries(bptt_cuda_objects PRIVATE bptt_flags Threads::Threads)
target_include_directories(bptt_cuda_objects PUBLIC host/include device device/cuda)
set_target_properties(bptt_cuda_objects PROPERTIES C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
if(BPTT_CUDA_HEADERS AND BPTT_CUBLAS_HEADERS) # cu_api.h against NVIDIA's own
  target_sources(bptt_cuda_objects PRIVATE device/cuda/cu_headers.c)
  target_include_directories(bptt_cuda_objects SYSTEM PRIVATE ${BPTT_CUDA_HEADERS} ${BPTT_CUBLAS_HEADERS})
endif()
add_library(bptt-cuda MODULE $<TARGET_OBJECTS:bptt_cuda_objects> ${shared_sources})
target_link_libraries(bptt-cuda PRIVATE bptt_flags Threads::Threads m ${CMAKE_DL_LIBS})
target_include_directories(bptt-cuda PRIVATE host/include device)
set_target_properties(bptt-cuda PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY ${bptt_output})
