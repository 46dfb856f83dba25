// SPDX-License-Identifier: Apache-2.0
#include "apps/conclaved/silent_sound.h"

#include <chrono>

#include "base/clock.h"

namespace conclave::apps {

SilentSound::SilentSound(AudioFrameRing& uplink, AudioFrameRing& downlink, int sample_rate) {
  thread_ = std::thread([this, &uplink, &downlink, sample_rate] {
    auto next = std::chrono::steady_clock::now();
    AudioFrame frame;
    frame.samples = sample_rate / kFramesPerSecond;
    frame.flags = kAudioFrameSilence;
    while (!stopping_) {
      frame.time_ns = SystemClock::now();
      uplink.try_push(frame);
      ++frame.index;
      AudioFrame dropped;
      downlink.try_pop(dropped);
      next += std::chrono::milliseconds(1000 / kFramesPerSecond);
      std::this_thread::sleep_until(next);
    }
  });
}

SilentSound::~SilentSound() {
  stopping_ = true;
  thread_.join();
}

}  // namespace conclave::apps
