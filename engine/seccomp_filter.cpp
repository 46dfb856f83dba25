// SPDX-License-Identifier: Apache-2.0
#include "engine/seccomp_filter.h"

#include <seccomp.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

namespace conclave::engine {
namespace {

constexpr int kAllowed[] = {
    // The device.
    SCMP_SYS(ioctl),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime),
    // Waiting and time (the vDSO falls back to these on some clocks).
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(sched_yield),
    SCMP_SYS(restart_syscall),
    // Signals that interrupt it, and its end.
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(madvise),
    SCMP_SYS(munmap),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(gettid),
};

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};

Error failed(const char* step, int error) {
  return {std::string("the audio thread's system call filter: ") + step + ": " +
          std::strerror(-error) + "; run without it or on a kernel with seccomp"};
}

}  // namespace

Status restrict_audio_thread(SeccompAction action) {
  const std::uint32_t otherwise =
      action == SeccompAction::kKill ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
  scmp_filter_ctx filter = seccomp_init(otherwise);
  if (filter == nullptr) return failed("cannot be made", -ENOMEM);
  const std::unique_ptr<void, Release> owner(filter);
  for (const int call : kAllowed) {
    if (const int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0); r != 0) {
      return failed("a rule is refused", r);
    }
  }
  if (const int r = seccomp_load(filter); r != 0) return failed("the kernel refuses it", r);
  return {};
}

}  // namespace conclave::engine
