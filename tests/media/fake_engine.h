// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <thread>
#include <vector>

#include "base/audio_frame.h"
#include "base/clock.h"

namespace conclave::media {

/// Stands for engine and sound card: every 10 ms of its own clock it pushes a frame with a tone and
/// pops one, on a thread. Everything is kept for inspection after join().
class FakeEngine {
 public:
  FakeEngine(int rate, double hertz, double seconds, double ppm = 0)
      : rate_(rate), hertz_(hertz), frames_(static_cast<int>(seconds * 100)), ppm_(ppm) {}

  AudioFrameRing uplink{16};
  AudioFrameRing downlink{16};
  std::vector<float> heard;
  int starved = 0;  ///< pops that found nothing, after the first half second
  int concealed = 0;
  std::size_t fullest = 0;  ///< of the downlink ring, likewise
  double mean_waiting = 0;
  double latest_ms = 0;  ///< how late this thread itself was woken at worst
  /// The machine gave this thread its time; otherwise quality measures the machine.
  bool calm() const { return latest_ms < 15; }

  void start() {
    thread_ = std::thread([this] { run(); });
  }
  void join() { thread_.join(); }

 private:
  void run() {
    const auto begin = SystemClock::now();
    const int samples = rate_ / 100;
    double phase = 0;
    for (int i = 0; i < frames_; ++i) {
      const auto due = begin + static_cast<std::int64_t>(i * 10e6 * (1 - ppm_ * 1e-6));
      std::this_thread::sleep_for(std::chrono::nanoseconds(due - SystemClock::now()));
      latest_ms = std::max(latest_ms, static_cast<double>(SystemClock::now() - due) / 1e6);
      AudioFrame frame;
      frame.index = static_cast<std::uint64_t>(i);
      frame.time_ns = SystemClock::now();
      frame.samples = samples;
      for (int n = 0; n < samples; ++n) {
        frame.data[static_cast<std::size_t>(n)] = 0.3F * static_cast<float>(std::sin(phase));
        phase = std::fmod(phase + 2 * std::numbers::pi * hertz_ / rate_, 2 * std::numbers::pi);
      }
      uplink.try_push(frame);
      const auto waiting = downlink.size();
      if (downlink.try_pop(frame)) {
        heard.insert(heard.end(), frame.data.begin(), frame.data.begin() + samples);
        concealed += (frame.flags & kAudioFrameConcealed) != 0;
      } else {
        heard.insert(heard.end(), static_cast<std::size_t>(samples), 0.0F);
        if (i > 50) ++starved;
      }
      if (i > 50) {
        fullest = std::max(fullest, waiting);
        mean_waiting += static_cast<double>(waiting) / (frames_ - 51);
      }
    }
  }
  int rate_;
  double hertz_;
  int frames_;
  double ppm_;
  std::thread thread_;
};

}  // namespace conclave::media
