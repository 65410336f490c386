# Writes OUT: a C array of the texts FILES (separated by |), one after the other, without their includes of our own
# files. Lines keep their numbers; each file starts with a #line, so that a compiler names the place.
string(REPLACE "|" ";" files "${FILES}")
set(body "")
set(size 0)
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME)
  file(READ "${file}" text)
  string(REGEX REPLACE "(^|\n)[ \t]*#[ \t]*include[ \t]*\"[^\n]*" "\\1" text "${text}")
  string(HEX "#line 1 \"${name}\"\n${text}\n" hex)
  string(LENGTH "${hex}" digits)
  math(EXPR size "${size} + ${digits} / 2")
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  string(APPEND body "${hex}\n")
endforeach()
file(WRITE "${OUT}" "// Made by cmake/embed_text.cmake.
#include \"cl_program_text.h\"

const size_t cl_program_size = ${size};
const unsigned char cl_program_text[] = {
${body}};
")
