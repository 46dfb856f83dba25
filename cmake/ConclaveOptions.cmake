# SPDX-License-Identifier: Apache-2.0
# Compiler, warnings, architecture and sanitizers: one place for all presets.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

option(CONCLAVE_WERROR "Warnings are errors" ON)
set(CONCLAVE_SANITIZE "" CACHE STRING "Sanitizers for the whole build: '', 'address,undefined' or 'thread'")
set(CONCLAVE_ARCH "auto" CACHE STRING "Value of -march; auto picks x86-64-v3 where the build machine has it")
option(CONCLAVE_COVERAGE "Instrument for gcov" OFF)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(CONCLAVE_CCACHE ccache)
if(CONCLAVE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CONCLAVE_CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                    -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -fno-math-errno)
# g++ 12 sees overlapping copies in its own std::string at -O3 (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-restrict)
endif()
if(CONCLAVE_WERROR)
  add_compile_options(-Werror)
endif()

# The kernels are written so that the compiler can vectorise them; 256-bit registers halve their
# cost. Results stay bit-identical for one binary, which is what replay relies on.
set(_arch ${CONCLAVE_ARCH})
if(_arch STREQUAL "auto")
  set(_arch "")
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND EXISTS /proc/cpuinfo)
    file(READ /proc/cpuinfo _cpuinfo)
    if(_cpuinfo MATCHES " avx2 " AND _cpuinfo MATCHES " fma " AND _cpuinfo MATCHES " bmi2 ")
      set(_arch "x86-64-v3")
    else()
      set(_arch "x86-64-v2")
    endif()
  endif()
endif()
if(_arch)
  add_compile_options(-march=${_arch})
endif()

set(CMAKE_CXX_FLAGS_RELEASE "-O3 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")  # asserts stay on

if(CONCLAVE_SANITIZE)
  add_compile_options(-fsanitize=${CONCLAVE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CONCLAVE_SANITIZE})
  add_compile_definitions(CONCLAVE_SANITIZED=1)
  # g++ 12 sees uninitialised memory in its own std::string where the sanitizers' code stands between;
  # warnings are errors in every other build.
  add_compile_options(-Wno-error)
endif()
if(CONCLAVE_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
