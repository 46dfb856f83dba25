// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <thread>

#include "base/audio_frame.h"

namespace conclave::apps {

/// Stands in for the engine where there is no sound card: silence out, what comes in is dropped,
/// ten milliseconds at a time. So a phone without a card still joins and stays in a conference.
class SilentSound {
 public:
  SilentSound(AudioFrameRing& uplink, AudioFrameRing& downlink, int sample_rate);
  ~SilentSound();
  SilentSound(const SilentSound&) = delete;
  SilentSound& operator=(const SilentSound&) = delete;

 private:
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace conclave::apps
