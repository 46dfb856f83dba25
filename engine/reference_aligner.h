// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "dsp/aec/delay_estimator.h"
#include "dsp/aec/echo_drift.h"
#include "dsp/aec/variable_delay.h"

namespace conclave::engine {

/// Brings the canceller's reference close to the echo and to its clock, so that a filter of 200 ms
/// serves devices and networks of loudspeakers with up to 600 ms of delay, and recordings whose far
/// end was stored by another clock than the microphone's.
///
/// The bulk delay is searched all the time. While the echo lies well inside the filter nothing
/// moves. When a locked delay jumps out of the filter's reach, the reference moves by exactly the
/// jump: a converged filter fits again at once. When the filter has found the echo by itself, but
/// late in its response, the reference glides there and the filter is told to move its response
/// along. When the delay creeps, the reference is resampled so that it creeps as well; for that it
/// must be late by some samples, and glides there first.
///
/// Several references (stereo playback) are one clock and one delay: it is searched in their sum,
/// and all are moved alike. Audio thread but for create().
class ReferenceAligner {
 public:
  /// `max_shift`: most samples by which the filter can be moved in one block.
  static Result<std::unique_ptr<ReferenceAligner>> create(int sample_rate, int hop, float tail_ms,
                                                          int max_shift, int references = 1);

  /// What the canceller has to do before it takes the block.
  struct Change {
    bool filter_is_void = false;  ///< the reference went elsewhere: start anew
    int shifted = 0;  ///< the reference is later by so many samples: move the response along
  };

  /// `mic` as captured, `far` the references as written; `aligned` are those to cancel with.
  /// `filter_fits`: the canceller takes echo away right now.
  Change process(std::span<const float> mic, ConstFrameView far, bool filter_fits,
                 FrameView aligned) noexcept;
  void reset() noexcept;

  /// Loudspeaker to microphone as found; negative while unknown.
  float delay_ms() const noexcept;
  /// How clearly, 0..1.
  float confidence() const noexcept { return estimator_->metrics().confidence; }
  /// Jumps of the delay since reset.
  int jumps() const noexcept { return jumps_; }
  /// The microphone's clock against the reference's as found, in ppm: positive = the echo comes
  /// earlier and earlier. 0 while unknown.
  float drift_ppm() const noexcept { return -static_cast<float>(drift_.ppm()); }
  /// The reference is resampled.
  bool resampling() const noexcept { return resampling_; }
  /// What the reference is delayed by.
  int applied_samples() const noexcept;

 private:
  ReferenceAligner(int sample_rate, int hop, float tail_ms, int max_shift,
                   std::unique_ptr<dsp::DelayEstimator> estimator,
                   std::vector<dsp::VariableDelay> lines);
  bool follow_jumps(bool filter_fits) noexcept;
  void follow_clock() noexcept;
  int glide() noexcept;
  void set_delay(int samples, bool fade) noexcept;
  void set_rate(double ppm) noexcept;
  const dsp::VariableDelay& line() const noexcept { return lines_.front(); }

  double sample_rate_;
  int lead_;       // samples by which the reference stays ahead of the echo
  int near_lead_;  // the same when the reference is to be resampled
  int earliest_;   // echo nearer than this to the filter's start moves the reference
  int latest_;     // echo later than this in the filter moves the reference
  int jump_;       // a change of the delay beyond this moves the reference by as much
  int tail_;
  int max_delay_;
  int max_shift_;
  std::unique_ptr<dsp::DelayEstimator> estimator_;
  std::vector<dsp::VariableDelay> lines_;  // one a reference, all at the same delay
  FrameBuffer sum_;
  dsp::EchoDrift drift_;
  int last_found_ = -1;
  int candidate_ = 0;
  int agreeing_ = 0;  // blocks in a row that asked for the same move
  int jumps_ = 0;
  int readings_ = 0;
  int target_ = -1;  // samples to delay by, with the filter moved along; -1 = none
  bool resampling_ = false;
  double place_ = 0;  // seconds from the aligned reference to the echo, to be kept
};

}  // namespace conclave::engine
