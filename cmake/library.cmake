# The library bptt, made of bptt_objects. A static one is an archive of one object in which only the functions of bptt.h
# are global, so that no name of bptt's collides with one of the program's.

# bptt_relocatable(COMMAND): the command that links objects into one, as a list; empty where this toolchain cannot.
function(bptt_relocatable command)
  set(${command} "" PARENT_SCOPE)
  if(NOT CMAKE_OBJCOPY OR NOT CMAKE_NM)
    message(STATUS "bptt: no objcopy or nm, so libbptt.a shows internal names (Debian: binutils)")
    return()
  endif()
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  separate_arguments(flags UNIX_COMMAND "${CMAKE_C_COMPILER_ARG1} ${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${type}}")
  set(target "")
  if(CMAKE_C_COMPILER_TARGET)
    set(target --target=${CMAKE_C_COMPILER_TARGET})
  endif()
  set(machine ${flags}) # the object format; what a sanitizer adds to a program has no place here
  list(FILTER machine INCLUDE REGEX "^(-m|--target=|--sysroot=|-fuse-ld=)")
  set(link ${CMAKE_C_COMPILER} ${target} ${machine} -r -nostdlib)
  set(try ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/bptt_relocatable)
  file(WRITE ${try}/a.c "int bptt_inner(void);\nint bptt_inner(void) { return 1; }\n")
  file(WRITE ${try}/b.c "int bptt_inner(void);\nint bptt_outer(void);\n"
       "__attribute__((visibility(\"default\"))) int bptt_outer(void) { return bptt_inner(); }\n")
  set(compile ${CMAKE_C_COMPILER} ${target} ${flags} -fPIC -fvisibility=hidden)
  execute_process(COMMAND ${compile} -c a.c -o a.o
                  WORKING_DIRECTORY ${try} RESULT_VARIABLE code OUTPUT_QUIET ERROR_QUIET)
  foreach(step "${compile};-c;b.c;-o;b.o" "${link};a.o;b.o;-o;whole.o"
          "${CMAKE_OBJCOPY};--localize-hidden;whole.o;local.o")
    if(code EQUAL 0)
      execute_process(COMMAND ${step} WORKING_DIRECTORY ${try} RESULT_VARIABLE code OUTPUT_QUIET ERROR_QUIET)
    endif()
  endforeach()
  set(names "")
  if(code EQUAL 0)
    execute_process(COMMAND ${CMAKE_NM} -g --defined-only local.o WORKING_DIRECTORY ${try} OUTPUT_VARIABLE names
                    ERROR_QUIET)
  endif()
  if(names MATCHES "bptt_outer" AND NOT names MATCHES "bptt_inner" AND NOT CMAKE_INTERPROCEDURAL_OPTIMIZATION)
    set(${command} ${link} PARENT_SCOPE)
  else()
    message(STATUS "bptt: this toolchain cannot hide names in an object, so libbptt.a shows internal names")
  endif()
endfunction()

set(library_objects $<TARGET_OBJECTS:bptt_objects>)
if(BPTT_INSTALL) # an installed library may be in a program elsewhere, so it knows the folder of its own modules
  add_library(bptt_folder OBJECT host/module_folder_installed.c)
  target_link_libraries(bptt_folder PRIVATE bptt_flags)
  target_compile_definitions(bptt_folder PRIVATE BPTT_MODULE_DIR="${CMAKE_INSTALL_FULL_LIBDIR}/bptt")
  set_target_properties(bptt_folder PROPERTIES C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  set(library_objects "$<FILTER:${library_objects},EXCLUDE,module_folder_none>" $<TARGET_OBJECTS:bptt_folder>)
endif()

set(link_whole "")
if(NOT BUILD_SHARED_LIBS)
  bptt_relocatable(link_whole)
endif()
if(link_whole)
  set(whole ${CMAKE_CURRENT_BINARY_DIR}/bptt_whole)
  get_property(many_types GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
  if(many_types)
    string(APPEND whole _$<CONFIG>)
  endif()
  set(folder_target "")
  if(TARGET bptt_folder)
    set(folder_target bptt_folder)
  endif()
  add_custom_command(OUTPUT ${whole}.o
    COMMAND ${link_whole} -o ${whole}.r.o ${library_objects}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${whole}.r.o ${whole}.o
    COMMAND ${CMAKE_COMMAND} -E rm ${whole}.r.o
    DEPENDS bptt_objects ${folder_target} ${library_objects}
    COMMENT "Hiding internal names" COMMAND_EXPAND_LISTS VERBATIM)
  set_source_files_properties(${whole}.o PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  add_library(bptt STATIC ${whole}.o)
else()
  add_library(bptt ${library_objects})
endif()
add_library(bptt::bptt ALIAS bptt)
target_link_libraries(bptt PRIVATE Threads::Threads m ${CMAKE_DL_LIBS})
target_include_directories(bptt PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/host/include>
                                       $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
set_target_properties(bptt PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0 LINKER_LANGUAGE C)
