// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace conclave::control {

using TimerId = std::uint64_t;  ///< never 0, never used twice

/// One thread that runs what others hand it, in order, and timers. Components of the control plane
/// live on one loop and need no locks between them.
class Loop {
 public:
  using Task = std::function<void()>;
  using Duration = std::chrono::milliseconds;

  /// `name` shows in the list of threads (15 characters).
  explicit Loop(const std::string& name);
  /// Runs what was posted before, drops timers, joins.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Any thread. After stop() the task is dropped.
  void post(Task task);
  /// Runs the task after the delay, once. Any thread.
  TimerId after(Duration delay, Task task);
  /// Runs the task at a steady rate; ticks that are missed are left out.
  TimerId every(Duration period, Task task);
  /// A task that has begun is not waited for unless called elsewhere than on the loop.
  void cancel(TimerId id);
  /// Posts and waits for the task. Not from the loop itself.
  void run(Task task);
  bool on_loop() const { return std::this_thread::get_id() == thread_.get_id(); }
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Timer {
    TimerId id = 0;
    Duration period{0};
    Task task;
  };
  void body(const std::string& name);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  std::multimap<Clock::time_point, Timer> timers_;
  TimerId next_timer_ = 1;
  TimerId cancelled_running_ = 0;
  TimerId running_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace conclave::control
