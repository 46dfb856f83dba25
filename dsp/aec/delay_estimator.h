// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "base/result.h"

namespace conclave::dsp {

struct DelayEstimatorConfig {
  int sample_rate = 48000;   ///< 16000 or 48000
  int hop = 480;             ///< samples in a block
  float max_delay_ms = 600;  ///< search range from 0, 50..1000
};

struct DelayEstimatorMetrics {
  int delay_samples = 0;  ///< of the strongest early echo, at sample_rate; valid when locked
  float delay_ms = 0;
  float confidence =
      0;  ///< 0..1: how clearly the peak stands out, faded while the far end is quiet
  bool locked = false;
  /// The known delay to a fraction of a sample, in seconds, followed along one peak, and how many
  /// readings there were: a new one when the number has changed.
  double fine_delay = 0;
  int fine_readings = 0;
  int jumps = 0;  ///< changes of a locked delay since reset
};

/// Finds the bulk delay from far end to microphone, continuously, and locks again when it jumps.
///
/// Generalised cross-correlation (Knapp and Carter 1976), averaged over time: both signals are
/// brought to 8 kHz and whitened by linear prediction, each block adds one cross-spectrum, and the
/// search over all lags is spread over the blocks so that the cost of each block is about the same.
/// The peak is followed to a fraction of a sample, for telling drifting clocks.
/// create() any thread; everything else on the audio thread, without allocation.
class DelayEstimator {
 public:
  static Result<std::unique_ptr<DelayEstimator>> create(const DelayEstimatorConfig& config);
  ~DelayEstimator();
  DelayEstimator(const DelayEstimator&) = delete;
  DelayEstimator& operator=(const DelayEstimator&) = delete;

  /// One hop of one microphone (as captured, before cancellation) and of the far end.
  /// `impatient`: the known delay seems wrong; the past counts less and a jump is believed sooner.
  void process(std::span<const float> mic, std::span<const float> far,
               bool impatient = false) noexcept;
  void reset() noexcept;
  DelayEstimatorMetrics metrics() const noexcept;

 private:
  class Impl;
  explicit DelayEstimator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave::dsp
