# Writes OUT: a C array of bptt's own sources and documents under ROOT, in the order of their names. Runs of blanks inside
# a line become one: where comments and tables are aligned, a model learns to go on with blanks. Indentation stays.
file(GLOB_RECURSE host LIST_DIRECTORIES false ${ROOT}/host/*.c ${ROOT}/host/*.h ${ROOT}/host/*.md)
file(GLOB_RECURSE device LIST_DIRECTORIES false ${ROOT}/device/*.c ${ROOT}/device/*.h ${ROOT}/device/*.md)
file(GLOB_RECURSE verify LIST_DIRECTORIES false ${ROOT}/verify/*.c ${ROOT}/verify/*.h ${ROOT}/verify/*.md)
list(FILTER device EXCLUDE REGEX "/device/results/")     # measurements come and go; the text should not
file(GLOB samples ${ROOT}/samples/*.c)
set(files ${device} ${host} ${verify} ${samples} ${ROOT}/README.md ${ROOT}/CONTRIBUTING.md)
list(SORT files COMPARE STRING)
set(body "")
set(size 0)
foreach(file IN LISTS files)
  if(EXISTS ${file})
    file(READ ${file} text)
    string(REGEX REPLACE "([^ \n])  +" "\\1 " text "${text}")
    string(HEX "${text}" hex)
    string(LENGTH "${hex}" digits)
    math(EXPR size "${size} + ${digits} / 2")
    string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
    string(APPEND body "${hex}\n")
  endif()
endforeach()
file(WRITE ${OUT} "// Made by cmake/default_text.cmake: bptt's own sources and documents.
#include \"default_text.h\"

const size_t bptt_default_text_size = ${size};
const unsigned char bptt_default_text[] = {
${body}};
")
