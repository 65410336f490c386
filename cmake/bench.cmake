# The benchmark of layers of bptt and of cuDNN, which is found when it runs; not installed.
set(layers_sources bench/layers_race.c bench/layers_row.c bench/layers_gates.c bench/layers_bptt.c bench/layers_cudnn.c bench/bare_layers.c
    bench/product_f64.c bench/peers/cudnn_rnn.c bench/peers/cudnn_api.c)
find_path(BPTT_CUDNN_HEADERS cudnn.h HINTS ${BPTT_CUDA_HEADERS})
mark_as_advanced(BPTT_CUDNN_HEADERS)
bptt_own_headers(BPTT_CUDNN_HEADERS cudnn.h)
add_executable(bptt_layers bench/layers.c ${layers_sources})
target_include_directories(bptt_layers PRIVATE bench bench/peers)
target_compile_options(bptt_layers PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-O3>)
target_link_libraries(bptt_layers PRIVATE bptt_flags bptt_objects Threads::Threads m ${CMAKE_DL_LIBS})
add_executable(bptt_products bench/products.c)
target_link_libraries(bptt_products PRIVATE bptt_flags bptt_objects Threads::Threads m ${CMAKE_DL_LIBS})
if(BPTT_CUDA_HEADERS AND BPTT_CUDNN_HEADERS)      # what we say of cuDNN's functions is what NVIDIA says
  target_sources(bptt_layers PRIVATE bench/peers/cudnn_headers.c)
  set_source_files_properties(bench/peers/cudnn_headers.c PROPERTIES COMPILE_OPTIONS
    "-isystem;${BPTT_CUDA_HEADERS};-isystem;${BPTT_CUDNN_HEADERS}")
endif()
