// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "base/spsc_ring.h"

namespace conclave {

/// The hop of the whole house: 10 ms.
inline constexpr int kFramesPerSecond = 100;
inline constexpr int kMaxFrameSamples = 480;  // 10 ms at 48 kHz

/// 10 ms of mono audio on its way between engine and media.
struct AudioFrame {
  std::uint64_t index = 0;   ///< counts from 0 at the producer
  std::int64_t time_ns = 0;  ///< monotonic time of the frame's last sample (capture) or play-out
  std::int32_t samples = 0;  ///< valid samples in data: 480 at 48 kHz, 160 at 16 kHz
  std::int32_t flags = 0;    ///< kAudioFrame...
  std::array<float, kMaxFrameSamples> data{};
};
inline constexpr std::int32_t kAudioFrameSilence = 1;    ///< muted or nothing to send
inline constexpr std::int32_t kAudioFrameConcealed = 2;  ///< made up by loss concealment

/// Engine and media never include each other: apps hand both the same two of these.
using AudioFrameRing = SpscRing<AudioFrame>;

}  // namespace conclave
