# Writes OUT: the bytes of FILE as the C array of device/cuda/cu_image.h; WORDS: what they are for. FILE empty: none. In
# plain C, so that any compiler takes it: half a megabyte is read in a second.
set(body "0")
set(size 0)
if(FILE)
  file(READ "${FILE}" body HEX)
  string(LENGTH "${body}" digits)
  math(EXPR size "${digits} / 2")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," body "${body}")
  set(bytes20 "")
  foreach(i RANGE 1 20)
    string(APPEND bytes20 "0x..,")
  endforeach()
  string(REGEX REPLACE "(${bytes20})" "\\1\n" body "${body}")
endif()
file(WRITE "${OUT}" "// Made by cmake/embed_bytes.cmake.
#include \"cu_image.h\"

const char cuda_image_of[] = \"${WORDS}\";
const size_t cuda_image_size = ${size};
_Alignas(16) const unsigned char cuda_image[] = {
${body}
};
")
