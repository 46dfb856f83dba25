// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/result.h"

namespace conclave::realtime {

/// What the guard does when a marked thread allocates, locks, opens, reads or writes.
enum class OnViolation {
  kCount,  ///< count it; violations() tells
  kAbort,  ///< print the stack and abort: what tests use
};

/// Marks the calling thread as real-time while it lives. Nests.
///
/// In programs linked with conclave_realtime_interposer, malloc and its kin, mutex locks, condition
/// variables, sleeping, and read/write/open by a marked thread are violations; elsewhere the mark
/// costs nothing and finds nothing. conclave's programs and all tests link it (sanitizer builds do
/// not: the sanitizers own malloc there).
class Scope {
 public:
  Scope() noexcept;
  ~Scope() noexcept;
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
};

/// Lifts the mark for a while: for the device's own calls (ALSA), which are the one exception.
class Exempt {
 public:
  Exempt() noexcept;
  ~Exempt() noexcept;
  Exempt(const Exempt&) = delete;
  Exempt& operator=(const Exempt&) = delete;

 private:
  int saved_;
};

/// True when the guard's interposer is linked into this program.
bool guarded() noexcept;
/// True while the calling thread is marked.
bool marked() noexcept;
void on_violation(OnViolation action) noexcept;
/// Violations of all threads since start (kCount).
std::uint64_t violations() noexcept;
/// Called by the interposer and by code that wants to declare itself forbidden (log, exceptions).
void check(const char* what) noexcept;

struct ThreadSetup {
  bool fifo = false;    ///< SCHED_FIFO was granted
  bool locked = false;  ///< memory is locked
};
/// Prepares the calling thread: SCHED_FIFO at `priority`, mlockall, a touched stack of
/// `stack_bytes`, flush-to-zero and denormals-are-zero. What the system refuses is left out and
/// told in the result; sound must go on without privileges.
ThreadSetup prepare_thread(int priority, std::size_t stack_bytes = 256 * 1024) noexcept;

/// Flush-to-zero and denormals-are-zero alone: offline runs need it to equal the live engine.
void flush_denormals() noexcept;

/// CPU time of the calling thread, ns.
std::int64_t thread_cpu_ns() noexcept;

}  // namespace conclave::realtime
