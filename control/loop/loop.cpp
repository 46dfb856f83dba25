// SPDX-License-Identifier: Apache-2.0
#include "control/loop/loop.h"

#include <pthread.h>

#include <algorithm>
#include <future>

namespace conclave::control {

Loop::Loop(const std::string& name) : thread_([this, name] { body(name); }) {}

Loop::~Loop() { stop(); }

void Loop::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

TimerId Loop::after(Duration delay, Task task) {
  const std::lock_guard lock(mutex_);
  const TimerId id = next_timer_++;
  timers_.emplace(Clock::now() + delay, Timer{id, Duration{0}, std::move(task)});
  wake_.notify_one();
  return id;
}

TimerId Loop::every(Duration period, Task task) {
  const std::lock_guard lock(mutex_);
  const TimerId id = next_timer_++;
  timers_.emplace(Clock::now() + period, Timer{id, period, std::move(task)});
  wake_.notify_one();
  return id;
}

void Loop::cancel(TimerId id) {
  if (id == 0) return;
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(timers_.begin(), timers_.end(),
                                  [id](const auto& entry) { return entry.second.id == id; });
  if (found != timers_.end()) timers_.erase(found);
  if (running_ == id) cancelled_running_ = id;
}

void Loop::run(Task task) {
  std::promise<void> done;
  post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

void Loop::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    timers_.clear();
  }
  wake_.notify_one();
  if (thread_.joinable() && !on_loop()) thread_.join();
}

void Loop::body(const std::string& name) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  std::unique_lock lock(mutex_);
  for (;;) {
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      task = nullptr;
      lock.lock();
    }
    const auto now = Clock::now();
    if (!timers_.empty() && timers_.begin()->first <= now && !stopping_) {
      auto node = timers_.extract(timers_.begin());
      Timer& timer = node.mapped();
      running_ = timer.id;
      lock.unlock();
      timer.task();
      lock.lock();
      running_ = 0;
      if (timer.period.count() > 0 && cancelled_running_ != timer.id && !stopping_) {
        const auto behind = now - node.key();
        node.key() += timer.period * (1 + behind / timer.period);
        timers_.insert(std::move(node));
      }
      cancelled_running_ = 0;
      continue;
    }
    if (!tasks_.empty()) continue;
    if (stopping_) return;
    if (timers_.empty()) {
      wake_.wait(lock);
    } else {
      // A copy: the entry may go while waiting.
      const auto due = timers_.begin()->first;
      wake_.wait_until(lock, due);
    }
  }
}

}  // namespace conclave::control
