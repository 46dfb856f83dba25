// SPDX-License-Identifier: Apache-2.0
#include "media/sip/sofia_loop.h"

#include <sofia-sip/su_log.h>
#include <sofia-sip/su_wait.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>

#include "base/log.h"

namespace conclave::media {
namespace {

int on_wakeup(su_root_magic_t*, su_wait_t*, su_wakeup_arg_t* arg) {
  reinterpret_cast<SofiaLoop*>(arg)->run_pending();
  return 0;
}

/// The library writes pieces of lines; only whole ones are of use.
void on_log(void*, char const* format, va_list arguments) {
  thread_local std::string line;
  std::array<char, 512> piece{};
  const int n = std::vsnprintf(piece.data(), piece.size(), format, arguments);
  if (n <= 0) return;
  line.append(piece.data(), std::min(static_cast<std::size_t>(n), piece.size() - 1));
  if (line.back() != '\n' && line.size() < 1000) return;
  while (!line.empty() && line.back() == '\n') line.pop_back();
  log::debug("sip", line);
  line.clear();
}

}  // namespace

SofiaLoop::SofiaLoop() : event_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

SofiaLoop::~SofiaLoop() {
  if (event_ >= 0) close(event_);
}

bool SofiaLoop::attach(su_root_s* root) {
  su_wait_t wait = SU_WAIT_INIT;
  if (event_ < 0 || su_wait_create(&wait, event_, SU_WAIT_IN) != 0) return false;
  index_ = su_root_register(root, &wait, on_wakeup, reinterpret_cast<su_wakeup_arg_t*>(this), 0);
  return index_ >= 0;
}

void SofiaLoop::detach(su_root_s* root) {
  if (index_ >= 0) su_root_deregister(root, index_);
  index_ = -1;
}

void SofiaLoop::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  const std::uint64_t one = 1;
  // Full means that a wake-up is due anyway.
  [[maybe_unused]] const auto n = write(event_, &one, sizeof one);
}

void SofiaLoop::run_pending() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto n = read(event_, &count, sizeof count);
  std::deque<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
  }
  for (auto& task : tasks) task();
}

void redirect_sofia_log() {
  static const bool once = [] {
    su_log_redirect(nullptr, on_log, nullptr);
    su_log_set_level(nullptr, 1);
    return true;
  }();
  (void)once;
}

}  // namespace conclave::media
