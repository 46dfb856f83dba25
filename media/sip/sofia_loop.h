// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <mutex>

struct su_root_s;  // su_root_t

namespace conclave::media {

/// Lets other threads run things on the thread of a sofia-sip event loop: an eventfd in its poll
/// set.
class SofiaLoop {
 public:
  using Task = std::function<void()>;

  SofiaLoop();
  ~SofiaLoop();
  SofiaLoop(const SofiaLoop&) = delete;
  SofiaLoop& operator=(const SofiaLoop&) = delete;

  /// Loop's thread: joins the loop, and leaves it.
  bool attach(su_root_s* root);
  void detach(su_root_s* root);
  /// Any thread. The task runs soon, in order; never after detach().
  void post(Task task);
  /// Loop's thread: what is waiting, now.
  void run_pending();

 private:
  int event_ = -1;
  int index_ = -1;
  std::mutex mutex_;
  std::deque<Task> tasks_;  // guarded by mutex_
};

/// Sends the library's own messages into our log (debug level) and keeps it from printing. Once for
/// the process.
void redirect_sofia_log();

}  // namespace conclave::media
