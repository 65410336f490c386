# libsndfile, through which the program (not the library) reads and writes WAV files.
#   bptt_wav_source   the source that defines wav.h
#   bptt_wav_links    what it needs

set(bptt_wav_source host/cli/wav_none.c)
set(bptt_wav_links)
if(BPTT_SNDFILE)
  find_path(BPTT_SNDFILE_INCLUDE sndfile.h)
  find_library(BPTT_SNDFILE_LIBRARY sndfile)
  mark_as_advanced(BPTT_SNDFILE_INCLUDE BPTT_SNDFILE_LIBRARY)
  bptt_own_headers(BPTT_SNDFILE_INCLUDE "sndfile.h")
  if(BPTT_SNDFILE_INCLUDE AND BPTT_SNDFILE_LIBRARY)
    add_library(bptt_sndfile INTERFACE)
    target_include_directories(bptt_sndfile INTERFACE ${BPTT_SNDFILE_INCLUDE})
    target_link_libraries(bptt_sndfile INTERFACE ${BPTT_SNDFILE_LIBRARY})
    set(bptt_wav_source host/cli/wav_sndfile.c)
    set(bptt_wav_links bptt_sndfile)
  elseif(NOT BPTT_SNDFILE STREQUAL AUTO)
    message(FATAL_ERROR "bptt: BPTT_SNDFILE is ON, but libsndfile was not found (Debian: libsndfile1-dev)")
  else()
    message(STATUS "bptt: no libsndfile, so the program reads no WAV files (Debian: libsndfile1-dev)")
  endif()
endif()
