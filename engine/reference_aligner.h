// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "base/result.h"
#include "dsp/aec/delay_estimator.h"
#include "dsp/aec/delay_line.h"

namespace conclave::engine {

/// Brings the canceller's reference close to the echo, so that a filter of 200 ms serves devices
/// and networks of loudspeakers with up to 600 ms of delay.
///
/// The bulk delay is searched all the time. While the echo lies well inside the filter nothing
/// moves. When a locked delay jumps, the reference moves by exactly the jump: a converged filter
/// fits again at once. Audio thread but for create().
class ReferenceAligner {
 public:
  static Result<std::unique_ptr<ReferenceAligner>> create(int sample_rate, int hop, float tail_ms);

  /// `mic` as captured, `far` the reference as written; `aligned` is the reference to cancel with.
  /// True when the reference was moved and a filter made for the old place is worth nothing.
  bool process(std::span<const float> mic, std::span<const float> far,
               std::span<float> aligned) noexcept;
  void reset() noexcept;

  /// Loudspeaker to microphone as found; negative while unknown.
  float delay_ms() const noexcept;
  /// What the reference is delayed by.
  int applied_samples() const noexcept { return applied_; }

 private:
  ReferenceAligner(int sample_rate, float tail_ms, std::unique_ptr<dsp::DelayEstimator> estimator,
                   dsp::DelayLine line);

  int sample_rate_;
  int lead_;      // samples by which the reference stays ahead of the echo
  int earliest_;  // echo nearer than this to the filter's start moves the reference
  int latest_;    // echo later than this in the filter moves the reference
  int jump_;      // a change of the delay beyond this moves the reference by as much
  int max_delay_;
  std::unique_ptr<dsp::DelayEstimator> estimator_;
  dsp::DelayLine line_;
  int applied_ = 0;
  int last_found_ = -1;
  int candidate_ = 0;
  int agreeing_ = 0;  // blocks in a row that asked for the same move
};

}  // namespace conclave::engine
