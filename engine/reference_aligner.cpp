// SPDX-License-Identifier: Apache-2.0
#include "engine/reference_aligner.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace conclave::engine {
namespace {

constexpr float kMaxDelayMs = 600.0F;
// What precedes the strongest path in a response, and clock jitter, must stay causal.
constexpr float kLeadMs = 20.0F;
constexpr float kNearLeadMs = 6.0F;
// A strong reflection may win over the direct path; further than this it is a jump.
constexpr float kJumpMs = 15.0F;
constexpr float kConfident = 0.3F;
constexpr int kBlocksToAgree = 4;
// An echo as far off as that from a place that is to be kept is not its drift.
constexpr double kDriftReach = 0.4e-3;
// Drift that a filter follows by itself without loss, and how sure a larger one must be.
constexpr double kLeastPpm = 3.0;
constexpr double kSure = 5.0;  // standard errors
// The place is kept by a correction of the rate, so slow that readings average out.
constexpr double kCorrectionSeconds = 4.0;
constexpr double kMostCorrectionPpm = 30.0;

int samples(float ms, int sample_rate) {
  return static_cast<int>(ms * static_cast<float>(sample_rate) / 1000.0F);
}

}  // namespace

Result<std::unique_ptr<ReferenceAligner>> ReferenceAligner::create(int sample_rate, int hop,
                                                                   float tail_ms, int max_shift,
                                                                   int references) {
  CONCLAVE_TRY(auto estimator,
               dsp::DelayEstimator::create(
                   {.sample_rate = sample_rate, .hop = hop, .max_delay_ms = kMaxDelayMs}));
  std::vector<dsp::VariableDelay> lines;
  for (int r = 0; r < references; ++r) {
    CONCLAVE_TRY(auto line, dsp::VariableDelay::create(samples(kMaxDelayMs, sample_rate), hop));
    lines.push_back(std::move(line));
  }
  return std::unique_ptr<ReferenceAligner>(new ReferenceAligner(
      sample_rate, hop, tail_ms, max_shift, std::move(estimator), std::move(lines)));
}

ReferenceAligner::ReferenceAligner(int sample_rate, int hop, float tail_ms, int max_shift,
                                   std::unique_ptr<dsp::DelayEstimator> estimator,
                                   std::vector<dsp::VariableDelay> lines)
    : sample_rate_(sample_rate),
      lead_(samples(kLeadMs, sample_rate)),
      near_lead_(samples(kNearLeadMs, sample_rate)),
      earliest_(samples(1.0F, sample_rate)),
      latest_(samples(tail_ms * 0.4F, sample_rate)),
      jump_(samples(kJumpMs, sample_rate)),
      tail_(samples(tail_ms, sample_rate)),
      max_delay_(samples(kMaxDelayMs, sample_rate)),
      max_shift_(max_shift),
      estimator_(std::move(estimator)),
      lines_(std::move(lines)),
      sum_(1, hop),
      drift_(static_cast<double>(hop) / sample_rate) {}

ReferenceAligner::Change ReferenceAligner::process(std::span<const float> mic, ConstFrameView far,
                                                   bool filter_fits, FrameView aligned) noexcept {
  const auto sum = sum_[0];
  std::ranges::copy(far[0], sum.begin());
  for (int r = 1; r < far.channels(); ++r) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += far[r][i];
  }
  estimator_->process(mic, sum, last_found_ >= 0 && !filter_fits);
  Change change;
  change.filter_is_void = follow_jumps(filter_fits);
  follow_clock();
  if (!change.filter_is_void && target_ >= 0) change.shifted = glide();
  for (int r = 0; r < far.channels(); ++r) {
    lines_[static_cast<std::size_t>(r)].process(far[r], aligned[r]);
  }
  return change;
}

void ReferenceAligner::set_delay(int samples, bool fade) noexcept {
  for (auto& line : lines_) line.set_delay(samples, fade);
}

void ReferenceAligner::set_rate(double ppm) noexcept {
  for (auto& line : lines_) line.set_rate(ppm);
}

bool ReferenceAligner::follow_jumps(bool filter_fits) noexcept {
  const auto found = estimator_->metrics();
  if (!found.locked || found.confidence < kConfident) return false;
  const int place = found.delay_samples;
  const int applied = applied_samples();
  const int inside = place - applied;
  // With the reference undelayed there is no earlier place to go.
  const bool within = (inside >= earliest_ || applied == 0) && inside <= latest_;
  const bool stays = last_found_ < 0 || std::abs(place - last_found_) <= jump_;
  if (within && stays) {
    last_found_ = place;
    agreeing_ = 0;
    return false;
  }
  if (agreeing_ > 0 && std::abs(place - candidate_) <= earliest_) {
    ++agreeing_;
  } else {
    candidate_ = place;
    agreeing_ = 1;
  }
  if (agreeing_ < kBlocksToAgree) return false;
  agreeing_ = 0;
  const int jump = last_found_ < 0 ? 0 : place - last_found_;
  if (std::abs(jump) > earliest_) {
    ++jumps_;
    drift_.jump(jump / sample_rate_);
  }
  const bool first = last_found_ < 0;
  last_found_ = place;
  if (filter_fits && inside >= 0 && inside < tail_) {
    // The filter has found the echo by itself. Late in it, the end of the room's
    // answer is missing.
    if (inside > latest_) target_ = place - lead_;
    place_ += jump / sample_rate_;
    return false;
  }
  // A filter that had converged for the last place fits again when moved by the jump alone.
  const int moved = first ? -1 : applied + jump;
  const bool is_void = moved < 0 || moved > max_delay_;
  set_delay(is_void ? std::clamp(place - lead_, 0, max_delay_) : moved, true);
  target_ = -1;
  if (is_void) {
    set_rate(0);
    resampling_ = false;
  }
  return is_void;
}

void ReferenceAligner::follow_clock() noexcept {
  drift_.advance();
  const auto found = estimator_->metrics();
  // Between a jump of the search and its being believed, readings belong to neither place.
  if (found.fine_readings == readings_ || agreeing_ > 0) return;
  readings_ = found.fine_readings;
  drift_.add(found.fine_delay);
  if (!drift_.known()) return;
  const double ppm = drift_.ppm();
  if (resampling_) {
    const double off = found.fine_delay - line().delay() / sample_rate_ - place_;
    const double correction =
        std::abs(off) > kDriftReach
            ? 0.0
            : std::clamp(off / kCorrectionSeconds * 1e6, -kMostCorrectionPpm, kMostCorrectionPpm);
    set_rate(-(ppm + correction));
    return;
  }
  if (std::abs(ppm) < kLeastPpm || std::abs(ppm) < kSure * drift_.error_ppm()) return;
  const int target =
      std::min(static_cast<int>(found.fine_delay * sample_rate_) - near_lead_, max_delay_);
  if (target < dsp::VariableDelay::kLeastMoving) return;
  if (applied_samples() < target) {
    target_ = target;
    return;
  }
  resampling_ = true;
  place_ = found.fine_delay - line().delay() / sample_rate_;
  set_rate(-ppm);
}

int ReferenceAligner::glide() noexcept {
  const int applied = applied_samples();
  const int step = std::min(target_ - applied, max_shift_);
  if (step <= 0) {
    target_ = -1;
    return 0;
  }
  set_delay(applied + step, false);
  place_ -= step / sample_rate_;
  return step;
}

int ReferenceAligner::applied_samples() const noexcept {
  return static_cast<int>(std::lround(line().delay()));
}

float ReferenceAligner::delay_ms() const noexcept {
  const auto found = estimator_->metrics();
  return found.locked ? found.delay_ms : -1.0F;
}

void ReferenceAligner::reset() noexcept {
  estimator_->reset();
  for (auto& line : lines_) line.reset();
  drift_.reset();
  last_found_ = -1;
  agreeing_ = 0;
  jumps_ = 0;
  readings_ = 0;
  resampling_ = false;
  target_ = -1;
  place_ = 0;
}

}  // namespace conclave::engine
