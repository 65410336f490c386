# Installing, and the target uninstall of a build that is not a subproject.
include(CMakePackageConfigHelpers)

# Paths in bptt.pc are relative to its own folder, so that an installation can be moved. CMake ends them with a slash.
file(RELATIVE_PATH BPTT_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH BPTT_PC_LIBDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH BPTT_PC_INCLUDEDIR ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
foreach(path PREFIX LIBDIR INCLUDEDIR)
  string(REGEX REPLACE "/$" "" BPTT_PC_${path} "${BPTT_PC_${path}}")
endforeach()
set(pc_links -lm -lpthread -ldl)
list(JOIN pc_links " " BPTT_PC_PRIVATE)
set(BPTT_PC_STATIC "")
if(NOT BUILD_SHARED_LIBS)
  set(BPTT_PC_STATIC " ${BPTT_PC_PRIVATE}")
endif()
configure_file(cmake/bptt.pc.in bptt.pc @ONLY)

configure_package_config_file(cmake/bptt-config.cmake.in bptt-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/bptt)
write_basic_package_version_file(bptt-config-version.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS bptt EXPORT bptt-targets)
install(EXPORT bptt-targets NAMESPACE bptt:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/bptt)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/bptt-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/bptt-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/bptt)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/bptt.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES host/include/bptt.h host/include/bptt_trainer.h TYPE INCLUDE)
install(TARGETS bptt-cuda LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/bptt)
if(TARGET bptt-opencl)
  install(TARGETS bptt-opencl LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/bptt)
endif()
if(TARGET bptt_program)
  install(TARGETS bptt_program)
endif()
if(TARGET bptt_man)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/bptt.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()

install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(folder host device verify bench)
  install(FILES ${folder}/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/${folder})
endforeach()
install(FILES device/DESIGN.md device/RESULTS.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/device)
file(GLOB sample_files CONFIGURE_DEPENDS samples/*.c samples/*.sh)
list(FILTER sample_files EXCLUDE REGEX "/joints[.]c$") # what it includes is not installed
install(FILES ${sample_files} DESTINATION ${CMAKE_INSTALL_DOCDIR}/samples)

if(PROJECT_IS_TOP_LEVEL)
  add_custom_target(uninstall
    COMMAND ${CMAKE_COMMAND} -DMANIFEST=${CMAKE_CURRENT_BINARY_DIR}/install_manifest.txt
            -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/uninstall.cmake VERBATIM)
endif()
