# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# Builds for arm64 on another processor (preset arm64): Debian's cross compiler, and the libraries of the folder
# $ENV{ZEROSPAN_ARM64_ROOT} (vmtests/arm64_root.py). On an arm64 machine the other presets do.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

set(ZEROSPAN_ARM64_ROOT "$ENV{ZEROSPAN_ARM64_ROOT}" CACHE PATH "Debian for arm64, with the libraries that zerospan uses")
if(NOT EXISTS "${ZEROSPAN_ARM64_ROOT}/usr/include")
  message(FATAL_ERROR "zerospan: ZEROSPAN_ARM64_ROOT is '${ZEROSPAN_ARM64_ROOT}', which has no usr/include. `make arm64` sets it.")
endif()
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ZEROSPAN_ARM64_ROOT)
set(CMAKE_SYSROOT "${ZEROSPAN_ARM64_ROOT}")

# Programs of this machine (protoc, bpftool), all else from there.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_DIR} "")
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${ZEROSPAN_ARM64_ROOT}")
set(ENV{PKG_CONFIG_LIBDIR} "${ZEROSPAN_ARM64_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${ZEROSPAN_ARM64_ROOT}/usr/share/pkgconfig")
