// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::dsp {

struct DriftCompensatorConfig {
  int channels = 1;         ///< 1..16
  int sample_rate = 48000;  ///< nominal rate of both clocks
  int hop = 480;            ///< frames of one pull()
  float target_latency_ms =
      25;               ///< mean fill before pull(), 10..200 ms; raised when bursts need it
  float max_ppm = 500;  ///< correction range, 50..2000
};

struct DriftCompensatorMetrics {
  float ppm = 0;  ///< estimated clock of the pushing card against the pulling one; + = faster
  float fill_frames = 0;  ///< smoothed FIFO fill (before pull)
  float latency_ms = 0;   ///< FIFO and resampler together
  std::uint64_t underruns = 0;
  std::uint64_t overruns = 0;
  bool synced = false;  ///< the loop has settled: the output is time-aligned and may be mixed
};

/// Brings a card that runs on a clock of its own (a satellite microphone) to the clock of the ring.
///
/// push() puts what the card delivered, in bursts as they come, into a FIFO; pull() takes exactly
/// one hop through the fractional resampler, whose ratio a proportional-integral loop steers so
/// that the mean fill stays at the target. Because a card delivers in bursts, the fill alone is
/// misleading: a burst as long as the hop makes it look constant for minutes and then jump. The
/// loop therefore follows the card's clock by an observer that only learns from what contradicts
/// it: a card in bursts of B is ahead of what it has delivered by 0..B samples. When the FIFO runs
/// dry or over, the stream restarts at the target fill with faded edges, `synced` falls and the
/// clock estimate is kept.
///
/// create() any thread; both functions on the audio thread, without allocation.
class DriftCompensator {
 public:
  static Result<std::unique_ptr<DriftCompensator>> create(const DriftCompensatorConfig& config);
  ~DriftCompensator();
  DriftCompensator(const DriftCompensator&) = delete;
  DriftCompensator& operator=(const DriftCompensator&) = delete;

  /// channels x any number of frames (0 is fine). `pending_frames`: what the card has captured but
  /// not delivered yet, if its driver can tell (time stamps); makes the clock estimate converge
  /// faster.
  void push(ConstFrameView in, double pending_frames = 0) noexcept;
  /// channels x hop; silence until the FIFO has filled.
  void pull(FrameView out) noexcept;
  void reset() noexcept;
  DriftCompensatorMetrics metrics() const noexcept;

 private:
  class Impl;
  explicit DriftCompensator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave::dsp
