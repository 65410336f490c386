# bptt_own_headers(FOLDER WHAT): empties FOLDER, found by find_path, where its headers belong to another C library.
# A compiler for another C library (musl-gcc) does not search /usr/include; to name that folder would mix both.
function(bptt_own_headers folder what)
  if("${${folder}}" STREQUAL "/usr/include" AND CMAKE_C_IMPLICIT_INCLUDE_DIRECTORIES
     AND NOT "/usr/include" IN_LIST CMAKE_C_IMPLICIT_INCLUDE_DIRECTORIES)
    message(STATUS "bptt: ${what} is in /usr/include, which ${CMAKE_C_COMPILER} does not search: it is not used")
    set(${folder} "" PARENT_SCOPE)
  endif()
endfunction()
