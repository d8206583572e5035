# SPDX-FileCopyrightText: The zerospan authors
# SPDX-License-Identifier: Apache-2.0

# Flags for every C++ target of the project, and the functions that declare its targets.
add_library(zerospan_flags INTERFACE)
target_compile_options(zerospan_flags INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor -Wold-style-cast
  -Woverloaded-virtual -Wimplicit-fallthrough -fno-omit-frame-pointer)
target_include_directories(zerospan_flags INTERFACE ${CMAKE_SOURCE_DIR})
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  # It is unsigned there, unlike on x86-64: code that asks whether a byte is below zero would mean something else.
  target_compile_options(zerospan_flags INTERFACE -fsigned-char)
endif()
if(ZEROSPAN_SANITIZE)
  target_compile_options(zerospan_flags INTERFACE -fsanitize=${ZEROSPAN_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(zerospan_flags INTERFACE -fsanitize=${ZEROSPAN_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 loses track of std::optional in instrumented code.
    target_compile_options(zerospan_flags INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()

if(ZEROSPAN_FUZZ)
  # Coverage feedback from the libraries under test, not only from the target's own file.
  target_compile_options(zerospan_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# zerospan_library(NAME SOURCES ... DEPENDS ...): one folder, one static library. DEPENDS is the folder's allowed arrows.
function(zerospan_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC zerospan_flags ${ARG_DEPENDS})
endfunction()

# zerospan_test(NAME [THREADS] SOURCES ... DEPENDS ...): a GoogleTest binary that needs no privilege; one ctest entry.
# THREADS: it has several, so that ThreadSanitizer has something to say about it.
function(zerospan_test name)
  if(NOT ZEROSPAN_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "THREADS" "" "SOURCES;DEPENDS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE zerospan_flags ${ARG_DEPENDS} GTest::gtest GTest::gmock GTest::gtest_main)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ 12 sees uninitialised members in moved-from std::variant temporaries of initializer lists.
    target_compile_options(${name} PRIVATE -Wno-maybe-uninitialized)
  endif()
  # Most of a build is tests, whose own code runs for milliseconds: this halves the time that they take to compile.
  target_compile_options(${name} PRIVATE -O0 -g1)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set(labels unit)
  if(ARG_THREADS)
    list(APPEND labels threads)
  endif()
  # Before the others, whose measurements they would disturb.
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 300 COST 10000)
endfunction()

# zerospan_fuzz(NAME SOURCE file CORPUS dir DEPENDS ...): a libFuzzer binary; ctest runs it for ZEROSPAN_FUZZ_SECONDS.
set(ZEROSPAN_FUZZ_SECONDS 10 CACHE STRING "How long ctest runs each fuzz target")
function(zerospan_fuzz name)
  if(NOT ZEROSPAN_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "SOURCE;CORPUS" "DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCE})
  target_link_libraries(${name} PRIVATE zerospan_flags ${ARG_DEPENDS})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  set(found ${CMAKE_CURRENT_BINARY_DIR}/${name}.found)
  file(MAKE_DIRECTORY ${found})
  add_test(NAME ${name} COMMAND ${name} -max_total_time=${ZEROSPAN_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=1024
           -print_final_stats=1 ${found} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_CORPUS})
  math(EXPR limit "${ZEROSPAN_FUZZ_SECONDS} * 3 + 60")
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT ${limit})
endfunction()

# zerospan_bench(NAME SOURCES ... DEPENDS ...): a Google Benchmark binary; `make bench` runs it.
function(zerospan_bench name)
  if(NOT ZEROSPAN_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  find_package(benchmark REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE zerospan_flags ${ARG_DEPENDS} benchmark::benchmark benchmark::benchmark_main)
endfunction()
