# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# bpf_object(NAME source.bpf.c): compiles with clang for the BPF target and generates NAME.skel.h with bpftool.
# Gives the INTERFACE target NAME_skel, whose users may include "NAME.skel.h". Headers are tracked by a depfile. What else is
# named are the compiler's options.
find_program(ZEROSPAN_BPF_CLANG NAMES clang-19 REQUIRED)
find_program(ZEROSPAN_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(ZEROSPAN_BPF_ARCH x86)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(ZEROSPAN_BPF_ARCH arm64)
else()
  message(FATAL_ERROR "zerospan: no BPF capture for the processor ${CMAKE_SYSTEM_PROCESSOR}")
endif()

if(CMAKE_SYSROOT)
  set(ZEROSPAN_BPF_INCLUDES --sysroot=${CMAKE_SYSROOT} -isystem ${CMAKE_SYSROOT}/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
                            -isystem ${CMAKE_SYSROOT}/usr/include)
else()
  set(ZEROSPAN_BPF_INCLUDES -isystem /usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
endif()

function(bpf_object name source)
  get_filename_component(source ${source} ABSOLUTE)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/${name}.skel.h)
  add_custom_command(OUTPUT ${object}
    COMMAND ${ZEROSPAN_BPF_CLANG} -target bpf -D__TARGET_ARCH_${ZEROSPAN_BPF_ARCH} -mcpu=v3 -O2 -g -std=gnu11
            -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-declarations -I${CMAKE_SOURCE_DIR}
            ${ZEROSPAN_BPF_INCLUDES} ${ARGN}
            -MD -MF ${object}.d -MT ${object} -c ${source} -o ${object}
    DEPENDS ${source}
    DEPFILE ${object}.d
    COMMENT "BPF ${name}.bpf.o" VERBATIM)
  add_custom_command(OUTPUT ${skeleton}
    COMMAND sh -c "${ZEROSPAN_BPFTOOL} gen skeleton ${object} name ${name}_bpf > ${skeleton}"
    DEPENDS ${object}
    COMMENT "BPF ${name}.skel.h" VERBATIM)
  add_custom_target(${name}_skel_build DEPENDS ${skeleton})
  add_library(${name}_skel INTERFACE)
  target_include_directories(${name}_skel SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR})
  add_dependencies(${name}_skel ${name}_skel_build)
endfunction()
