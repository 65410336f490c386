# The OpenCL backend: a module that the library loads when it is asked for. Only the headers are needed; the module
# finds libOpenCL.so.1 at run time.
find_path(BPTT_OPENCL_HEADERS CL/cl.h)
mark_as_advanced(BPTT_OPENCL_HEADERS)
bptt_own_headers(BPTT_OPENCL_HEADERS CL/cl.h)
if(BPTT_OPENCL_HEADERS)
  set(program_text ${CMAKE_CURRENT_BINARY_DIR}/program_text.c)
  set(program_files device/prelude_opencl.h device/f32.h device/number_device.h device/cells.h
      device/gated_cells.h device/losses.h
      device/optimizer_list.h device/optimizers.h device/statistics.h device/kernel_args.h device/kernels.h
      device/opencl/multiply.cl device/opencl/window.cl device/opencl/window_gates.cl
      device/opencl/cl_probe.h device/opencl/probe.cl)
  list(TRANSFORM program_files PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  list(JOIN program_files "|" program_list)
  add_custom_command(OUTPUT ${program_text}
    COMMAND ${CMAKE_COMMAND} "-DFILES=${program_list}" -DOUT=${program_text}
            -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed_text.cmake
    DEPENDS cmake/embed_text.cmake ${program_files} VERBATIM)
  file(GLOB opencl_sources RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS device/opencl/*.c)
  add_library(bptt_opencl_objects OBJECT ${opencl_sources} device/lower/inflight.c ${program_text})
  target_link_libraries(bptt_opencl_objects PRIVATE bptt_flags Threads::Threads)
  target_include_directories(bptt_opencl_objects PUBLIC host/include device device/opencl
                                                 SYSTEM PUBLIC ${BPTT_OPENCL_HEADERS})
  set_target_properties(bptt_opencl_objects PROPERTIES C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  add_library(bptt-opencl MODULE $<TARGET_OBJECTS:bptt_opencl_objects> ${shared_sources})
  target_link_libraries(bptt-opencl PRIVATE bptt_flags Threads::Threads m ${CMAKE_DL_LIBS})
  target_include_directories(bptt-opencl PRIVATE host/include device)
  set_target_properties(bptt-opencl PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden
                                               LIBRARY_OUTPUT_DIRECTORY ${bptt_output})
else()
  message(STATUS "bptt: no CL/cl.h, so no OpenCL module (Debian: opencl-c-headers)")
endif()
