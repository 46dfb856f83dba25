# SPDX-License-Identifier: Apache-2.0
# Four functions, so that each folder's CMakeLists.txt is a list of files and what they need.
find_package(PkgConfig REQUIRED)

# conclave_pkg(NAME MODULE...): an imported target conclave_pkg::NAME for pkg-config modules.
# Its headers count as system headers: other people's warnings are not ours.
function(conclave_pkg name)
  if(NOT TARGET conclave_pkg::${name})
    pkg_check_modules(PKG_${name} REQUIRED QUIET IMPORTED_TARGET GLOBAL ${ARGN})
    add_library(conclave_pkg::${name} ALIAS PkgConfig::PKG_${name})
  endif()
endfunction()

# conclave_library(NAME SOURCES file... [DEPS target...] [PRIVATE_DEPS target...])
function(conclave_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(${name} STATIC ${ARG_SOURCES})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
    target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
    target_link_libraries(${name} INTERFACE ${ARG_DEPS})
  endif()
endfunction()

# conclave_program(NAME SOURCES file... DEPS target...)
function(conclave_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
endfunction()

# conclave_test(NAME SOURCES file... DEPS target... [INTEGRATION] [THREADS] [NO_GUARD] [TIMEOUT s]): a
# GoogleTest program. Fast by default; INTEGRATION ones run apart. Fast ones with THREADS also run
# under TSan. The real-time guard is linked into each. The targets fast_tests and thread_tests build
# them all.
function(conclave_test name)
  cmake_parse_arguments(ARG "INTEGRATION;THREADS;NO_GUARD" "TIMEOUT" "SOURCES;DEPS" ${ARGN})
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  if(NOT ARG_NO_GUARD AND NOT CONCLAVE_SANITIZE)
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/guard_aborts.cpp)
    target_link_libraries(${name} PRIVATE conclave_realtime_interposer)
  endif()
  set(label fast)
  set(timeout 120)
  if(ARG_INTEGRATION)
    set(label integration)
    set(timeout 300)
  else()
    add_dependencies(fast_tests ${name})
    if(ARG_THREADS)
      set(label fast,threads)  # a list would be taken for another property
      add_dependencies(thread_tests ${name})
    endif()
  endif()
  if(ARG_TIMEOUT)
    set(timeout ${ARG_TIMEOUT})
  endif()
  if(CONCLAVE_SANITIZE)
    math(EXPR timeout "5 * ${timeout}")
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${label} TIMEOUT ${timeout})
endfunction()

add_custom_target(fast_tests)
add_custom_target(thread_tests)

# conclave_bench(NAME SOURCES file... DEPS target...): a Google Benchmark program.
function(conclave_bench name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  find_package(benchmark REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} benchmark::benchmark benchmark::benchmark_main)
endfunction()
