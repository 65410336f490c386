# The BLAS of the cpu backend: bptt_blas_sources, and bptt_blas_links for what is linked with bptt.
#   BPTT_BLAS=load  OpenBLAS, or another CBLAS, is loaded when a device is opened
#   BPTT_BLAS=link  a CBLAS with 32-bit integers that FindBLAS finds: BLA_VENDOR, BLA_STATIC; or BLAS_LIBRARIES
set(bptt_blas_links "")
if(BPTT_BLAS STREQUAL "load")
  set(bptt_blas_sources device/cpu/blas_load.c device/cpu/blas_threads.c)
  return()
elseif(NOT BPTT_BLAS STREQUAL "link")
  message(FATAL_ERROR "bptt: BPTT_BLAS is \"${BPTT_BLAS}\"; it takes load and link")
endif()

include(CheckCSourceCompiles)
if(NOT BLAS_LIBRARIES)
  set(BLA_SIZEOF_INTEGER 4)
  find_package(BLAS QUIET)
endif()

# bptt_blas_has(RESULT FUNCTION): whether a program links with that function of the BLAS.
function(bptt_blas_has result function)
  set(CMAKE_REQUIRED_LIBRARIES ${BLAS_LINKER_FLAGS} ${BLAS_LIBRARIES} Threads::Threads m ${CMAKE_DL_LIBS})
  set(CMAKE_REQUIRED_QUIET ON)
  string(MAKE_C_IDENTIFIER "BPTT_BLAS_HAS_${function}_IN_${BLAS_LIBRARIES}" known) # another library: asked again
  check_c_source_compiles("void ${function}(void);\nint main(void) { ${function}(); return 0; }" ${known})
  set(${result} ${${known}} PARENT_SCOPE)
endfunction()

set(has_sgemm OFF)
if(BLAS_LIBRARIES)
  bptt_blas_has(has_sgemm cblas_sgemm)
endif()
if(NOT has_sgemm)
  message(FATAL_ERROR "bptt: BPTT_BLAS=link needs a BLAS with cblas_sgemm; found: \"${BLAS_LIBRARIES}\". Install one "
          "(Debian: libopenblas-dev) or choose one: -DBLA_VENDOR=OpenBLAS, -DBLAS_LIBRARIES=/folder/libopenblas.so. "
          "Without BPTT_BLAS=link, bptt loads OpenBLAS at run time")
endif()

set(bptt_blas_sources device/cpu/blas_link.c device/cpu/blas_threads.c)
set(vendor other)
foreach(row openblas:openblas_set_num_threads mkl:MKL_Set_Num_Threads blis:bli_thread_set_num_threads)
  string(REPLACE ":" ";" row ${row})
  list(GET row 1 function)
  bptt_blas_has(has_it ${function})
  if(has_it)
    list(GET row 0 vendor)
    break()
  endif()
endforeach()
list(APPEND bptt_blas_sources device/cpu/blas_${vendor}.c)
message(STATUS "bptt: linked with BLAS ${BLAS_LIBRARIES}")

# By name where the linker searches the folder: an installation of bptt then works where that library lies elsewhere.
foreach(item IN LISTS BLAS_LINKER_FLAGS BLAS_LIBRARIES)
  if(IS_ABSOLUTE "${item}")
    get_filename_component(item "${item}" ABSOLUTE) # without ..
  endif()
  get_filename_component(folder "${item}" DIRECTORY)
  get_filename_component(file "${item}" NAME)
  if(folder IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES AND file MATCHES "^lib([^/]+)\\.so$")
    list(APPEND bptt_blas_links -l${CMAKE_MATCH_1})
  elseif(folder IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES AND file MATCHES "\\.(a|so[.0-9]*)$")
    list(APPEND bptt_blas_links -l:${file})
  else()
    list(APPEND bptt_blas_links ${item})
  endif()
endforeach()
