// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

struct OpusDecoder;

namespace conclave::service {

/// Is somebody talking on this line? Decodes at 8 kHz (about 10 us a packet) and compares the level
/// with a slowly following floor. Talking begins after 40 ms of sound 9 dB over the floor and at
/// least -52 dBFS, and ends 700 ms after the last of it. One thread; no allocation after create.
class TalkDetector {
 public:
  TalkDetector();
  ~TalkDetector();
  TalkDetector(const TalkDetector&) = delete;
  TalkDetector& operator=(const TalkDetector&) = delete;

  /// One Opus packet as it came. True when talking() changed.
  bool packet(std::span<const std::uint8_t> payload) noexcept;
  /// No sound for this long (muted, silent sender). True when talking() changed.
  bool quiet(double ms) noexcept;
  bool talking() const noexcept { return talking_; }

 private:
  bool advance(bool loud, double ms) noexcept;
  std::unique_ptr<OpusDecoder, void (*)(OpusDecoder*)> decoder_;
  double floor_db_ = -60;
  double loud_ms_ = 0;
  double quiet_ms_ = 0;
  bool talking_ = false;
};

}  // namespace conclave::service
