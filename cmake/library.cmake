# The library bptt, made of bptt_objects.

set(library_objects $<TARGET_OBJECTS:bptt_objects>)
if(BPTT_INSTALL) # an installed library may be in a program elsewhere, so it knows the folder of its own modules
  add_library(bptt_folder OBJECT host/module_folder_installed.c)
  target_link_libraries(bptt_folder PRIVATE bptt_flags)
  target_compile_definitions(bptt_folder PRIVATE BPTT_MODULE_DIR="${CMAKE_INSTALL_FULL_LIBDIR}/bptt")
  set_target_properties(bptt_folder PROPERTIES C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  set(library_objects "$<FILTER:${library_objects},EXCLUDE,module_folder_none>" $<TARGET_OBJECTS:bptt_folder>)
endif()

add_library(bptt ${library_objects})
add_library(bptt::bptt ALIAS bptt)
target_link_libraries(bptt PRIVATE ${bptt_blas_links} Threads::Threads m ${CMAKE_DL_LIBS})
target_include_directories(bptt PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/host/include>
                                       $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set_target_properties(bptt PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0 LINKER_LANGUAGE C)
