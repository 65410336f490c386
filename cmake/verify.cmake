# bptt_verify: the proofs of verify/, a library for the program and the tests. It is not installed, and libbptt holds
# nothing of it. It calls functions of the library that bptt.h does not have, so its users link bptt_objects too.
file(GLOB verify_sources RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS verify/*.c verify/cells/*.c
     verify/numbers/*.c)
add_library(bptt_verify STATIC ${verify_sources})
target_link_libraries(bptt_verify PRIVATE bptt_flags Threads::Threads m)
target_include_directories(bptt_verify PUBLIC verify verify/cells verify/numbers
                           PRIVATE $<TARGET_PROPERTY:bptt_objects,INTERFACE_INCLUDE_DIRECTORIES>)
target_compile_options(bptt_verify PRIVATE ${bptt_loop_options})
set_target_properties(bptt_verify PROPERTIES C_VISIBILITY_PRESET hidden)
