// SPDX-License-Identifier: Apache-2.0
#include "engine/reference_aligner.h"

#include <algorithm>
#include <cstdlib>

namespace conclave::engine {
namespace {

constexpr float kMaxDelayMs = 600.0F;
// What precedes the strongest path in a response, and clock jitter, must stay causal.
constexpr float kLeadMs = 20.0F;
// A strong reflection may win over the direct path; further than this it is a jump.
constexpr float kJumpMs = 15.0F;
constexpr float kConfident = 0.3F;
constexpr int kBlocksToAgree = 10;

int samples(float ms, int sample_rate) {
  return static_cast<int>(ms * static_cast<float>(sample_rate) / 1000.0F);
}

}  // namespace

Result<std::unique_ptr<ReferenceAligner>> ReferenceAligner::create(int sample_rate, int hop,
                                                                   float tail_ms) {
  CONCLAVE_TRY(auto estimator,
               dsp::DelayEstimator::create(
                   {.sample_rate = sample_rate, .hop = hop, .max_delay_ms = kMaxDelayMs}));
  CONCLAVE_TRY(auto line, dsp::DelayLine::create(samples(kMaxDelayMs, sample_rate), hop));
  return std::unique_ptr<ReferenceAligner>(
      new ReferenceAligner(sample_rate, tail_ms, std::move(estimator), std::move(line)));
}

ReferenceAligner::ReferenceAligner(int sample_rate, float tail_ms,
                                   std::unique_ptr<dsp::DelayEstimator> estimator,
                                   dsp::DelayLine line)
    : sample_rate_(sample_rate),
      lead_(samples(kLeadMs, sample_rate)),
      earliest_(samples(1.0F, sample_rate)),
      latest_(samples(tail_ms * 0.4F, sample_rate)),
      jump_(samples(kJumpMs, sample_rate)),
      max_delay_(samples(kMaxDelayMs, sample_rate)),
      estimator_(std::move(estimator)),
      line_(std::move(line)) {}

bool ReferenceAligner::process(std::span<const float> mic, std::span<const float> far,
                               std::span<float> aligned) noexcept {
  estimator_->process(mic, far);
  const auto found = estimator_->metrics();
  bool filter_is_void = false;
  if (found.locked && found.confidence >= kConfident) {
    const int place = found.delay_samples;
    const int inside = place - applied_;
    // At applied_ == 0 there is no earlier place to go.
    const bool within = (inside >= earliest_ || applied_ == 0) && inside <= latest_;
    const bool stays = last_found_ < 0 || std::abs(place - last_found_) <= jump_;
    if (within && stays) {
      last_found_ = place;
      agreeing_ = 0;
    } else if (agreeing_ > 0 && std::abs(place - candidate_) <= earliest_) {
      ++agreeing_;
    } else {
      candidate_ = place;
      agreeing_ = 1;
    }
    if (agreeing_ >= kBlocksToAgree) {
      // A filter that had converged for the last place fits again when moved by the jump alone.
      const int moved = last_found_ < 0 ? -1 : applied_ + place - last_found_;
      filter_is_void = moved < 0 || moved > max_delay_;
      applied_ = filter_is_void ? std::clamp(place - lead_, 0, max_delay_) : moved;
      last_found_ = place;
      agreeing_ = 0;
      line_.set_delay(applied_);
    }
  }
  line_.process(far, aligned);
  return filter_is_void;
}

float ReferenceAligner::delay_ms() const noexcept {
  const auto found = estimator_->metrics();
  return found.locked ? found.delay_ms : -1.0F;
}

void ReferenceAligner::reset() noexcept {
  estimator_->reset();
  line_.reset();
  applied_ = 0;
  line_.set_delay(0);
  last_found_ = -1;
  agreeing_ = 0;
}

}  // namespace conclave::engine
