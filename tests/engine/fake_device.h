// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "drivers/audio_device.h"

namespace conclave::engine::test {

/// A sound card that fails as told. Fast: it never waits. A script maps the number of a read to
/// what happens there; `gone` counts how many recover() calls find the card still unplugged.
class FakeDevice final : public drivers::AudioDevice {
 public:
  struct Script {
    std::function<drivers::IoStatus(int read)> on_read = [](int) { return drivers::IoStatus::kOk; };
    std::function<drivers::IoStatus(int write)> on_write = [](int) {
      return drivers::IoStatus::kOk;
    };
    std::function<int(int read)> available = [](int) { return 160; };
    int gone = 0;
    bool start_fails = false;
    float sample = 0.25F;
  };
  /// What the test looks at, also when the device is owned by the audio thread.
  struct Seen {
    std::atomic<int> reads{0};
    std::atomic<int> writes{0};
    std::atomic<int> recovers{0};
    std::atomic<int> stops{0};
    std::atomic<int> started_as{0};  ///< of all devices of the program, counted from 1
    std::atomic<float> last_played{0.0F};
  };

  FakeDevice(drivers::AudioFormat format, Script script, Seen& seen)
      : format_(format), script_(std::move(script)), seen_(seen) {}

  const drivers::AudioFormat& format() const noexcept override { return format_; }
  std::string name() const override { return "fake"; }
  Status start() override {
    static std::atomic<int> starts{0};
    seen_.started_as = ++starts;
    if (script_.start_fails) return Error{"fake: does not start"};
    return {};
  }
  void stop() noexcept override { ++seen_.stops; }
  drivers::IoStatus read(FrameView capture, drivers::IoInfo& info) noexcept override {
    const int n = seen_.reads++;
    for (int c = 0; c < capture.channels(); ++c) {
      std::ranges::fill(capture[c], n % 2 == 0 ? script_.sample : -script_.sample);
    }
    info.capture_time_ns = (n + 1) * 10'000'000LL;
    return script_.on_read(n);
  }
  drivers::IoStatus write(ConstFrameView playback) noexcept override {
    seen_.last_played = playback[0].back();
    return script_.on_write(seen_.writes++);
  }
  int read_available(FrameView capture) noexcept override {
    const int count = std::min(script_.available(available_++), capture.frames());
    for (int c = 0; c < capture.channels(); ++c) std::ranges::fill(capture[c], script_.sample);
    return count;
  }
  drivers::IoStatus recover() noexcept override {
    ++seen_.recovers;
    if (script_.gone > 0) {
      --script_.gone;
      return drivers::IoStatus::kUnplugged;
    }
    return drivers::IoStatus::kOk;
  }

 private:
  drivers::AudioFormat format_;
  Script script_;
  Seen& seen_;
  int available_ = 0;
};

}  // namespace conclave::engine::test
