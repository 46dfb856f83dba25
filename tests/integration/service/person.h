// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <mutex>
#include <numbers>
#include <string>
#include <thread>
#include <vector>

#include "apps/far_end/participant.h"
#include "base/clock.h"
#include "service/service.h"

namespace conclave::service {

using namespace std::chrono_literals;
inline constexpr int kFrame = 480;
inline constexpr std::int64_t kMs = 1'000'000;

/// A participant with a mouth that makes a tone and ears that remember.
class Person {
 public:
  Person(const Service& service, const std::string& passcode, const std::string& name) {
    apps::ParticipantConfig config;
    config.rest = service.rest_address();
    config.ca_file = service.ca_file();
    config.passcode = passcode;
    config.name = name;
    config.serial = name;
    auto joined = apps::Participant::join(config);
    EXPECT_TRUE(joined.ok()) << joined.error().message;
    if (!joined) return;
    participant = std::move(*joined);
    thread_ = std::thread([this] { live(); });
  }
  Person(const Person&) = delete;
  Person& operator=(const Person&) = delete;
  ~Person() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  /// The tone from the next frame on; 0: silence.
  void say(double hz, double amplitude = 0.1) {
    amplitude_ = amplitude;
    hz_ = hz;
  }
  const std::string& id() const { return participant->place().participant.id; }

  /// What was heard in [from, to).
  std::vector<float> heard(std::int64_t from_ns, std::int64_t to_ns) const {
    const std::lock_guard lock(mutex_);
    std::vector<float> out;
    for (std::size_t i = 0; i < times_.size(); ++i) {
      if (times_[i] < from_ns || times_[i] >= to_ns) continue;
      out.insert(out.end(), sound_.begin() + static_cast<std::ptrdiff_t>(i * kFrame),
                 sound_.begin() + static_cast<std::ptrdiff_t>((i + 1) * kFrame));
    }
    return out;
  }
  /// When a frame with this tone was first heard after `from`; 0: not yet.
  std::int64_t first_heard(double hz, std::int64_t from_ns) const;
  std::int64_t spoke_at() const { return spoke_at_; }
  /// How late the thread woke up, 99th percentile.
  double late_ms() const {
    const std::lock_guard lock(mutex_);
    std::vector<double> sorted = late_;
    std::sort(sorted.begin(), sorted.end());
    return sorted.empty() ? 0 : sorted[sorted.size() * 99 / 100];
  }

  std::unique_ptr<apps::Participant> participant;

 private:
  void live() {
    std::int64_t next = SystemClock::now();
    double phase = 0;
    bool speaking = false;
    std::uint64_t index = 0;
    while (!stop_) {
      next += 10 * kMs;
      std::this_thread::sleep_for(std::chrono::nanoseconds(next - SystemClock::now()));
      AudioFrame frame;
      frame.samples = kFrame;
      frame.index = index++;
      frame.time_ns = next;
      const double hz = hz_;
      if (hz > 0 && !speaking) spoke_at_ = next - 10 * kMs;
      speaking = hz > 0;
      for (int i = 0; i < kFrame; ++i) {
        frame.data[static_cast<std::size_t>(i)] =
            hz > 0 ? static_cast<float>(amplitude_ * std::sin(phase)) : 0.0f;
        phase += 2 * std::numbers::pi * hz / 48000;
      }
      participant->uplink().try_push(frame);
      AudioFrame in;
      if (!participant->downlink().try_pop(in)) in = AudioFrame{};
      const std::int64_t now = SystemClock::now();
      const std::lock_guard lock(mutex_);
      late_.push_back(static_cast<double>(now - next) / 1e6);
      times_.push_back(next);
      sound_.insert(sound_.end(), in.data.begin(), in.data.begin() + kFrame);
    }
  }

  std::atomic<bool> stop_{false};
  std::atomic<double> hz_{0};
  std::atomic<double> amplitude_{0.1};
  std::atomic<std::int64_t> spoke_at_{0};
  mutable std::mutex mutex_;
  std::vector<double> late_;
  std::vector<std::int64_t> times_;
  std::vector<float> sound_;
  std::thread thread_;
};

inline double rms_db(const std::vector<float>& sound) {
  double energy = 0;
  for (const float s : sound) energy += double{s} * s;
  return sound.empty() ? -120 : 10 * std::log10(energy / static_cast<double>(sound.size()) + 1e-12);
}

/// Level of one frequency: Goertzel over blocks of 10 ms, the median of them, so that neither phase
/// jumps nor a few blocks lost to a busy machine count. Multiples of 100 Hz do not leak into
/// others.
inline double tone_db(const std::vector<float>& sound, double hz) {
  std::vector<double> powers;
  for (std::size_t b = 0; b + kFrame <= sound.size(); b += kFrame) {
    double re = 0;
    double im = 0;
    for (int i = 0; i < kFrame; ++i) {
      const double angle = 2 * std::numbers::pi * hz * i / 48000;
      re += sound[b + static_cast<std::size_t>(i)] * std::cos(angle);
      im += sound[b + static_cast<std::size_t>(i)] * std::sin(angle);
    }
    powers.push_back(2 * (re * re + im * im) / (double{kFrame} * kFrame));
  }
  if (powers.empty()) return -120;
  std::nth_element(powers.begin(), powers.begin() + static_cast<std::ptrdiff_t>(powers.size() / 2),
                   powers.end());
  return 10 * std::log10(powers[powers.size() / 2] + 1e-12);
}

inline std::int64_t Person::first_heard(double hz, std::int64_t from_ns) const {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < times_.size(); ++i) {
    if (times_[i] < from_ns) continue;
    const auto at = sound_.begin() + static_cast<std::ptrdiff_t>(i * kFrame);
    if (tone_db({at, at + kFrame}, hz) > -40) return times_[i];
  }
  return 0;
}

inline bool eventually(const std::function<bool()>& what, std::chrono::milliseconds within) {
  const auto end = std::chrono::steady_clock::now() + within;
  while (std::chrono::steady_clock::now() < end) {
    if (what()) return true;
    std::this_thread::sleep_for(20ms);
  }
  return what();
}

}  // namespace conclave::service
