// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"

namespace conclave::engine {

enum class SeccompAction {
  kKill,   ///< the process dies with SIGSYS: tests
  kRefuse  ///< the call fails with EPERM: phones, where sound that goes on beats a clean death
};

/// Takes from the calling thread, for good, every system call but those that a running sound card
/// needs: ioctl, poll, read and write of timers and event descriptors, futex, clocks, sleeping,
/// scheduling its own time slice, and what glibc needs to end a thread. A device that opens files
/// in recover() cannot be used with it. Other threads are not touched. Allocates: call it before
/// the thread becomes real-time.
Status restrict_audio_thread(SeccompAction action);

}  // namespace conclave::engine
