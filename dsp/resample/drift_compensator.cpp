// SPDX-License-Identifier: Apache-2.0
#include "dsp/resample/drift_compensator.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <string>
#include <utility>

#include "dsp/resample/fractional_resampler.h"

namespace conclave::dsp {
namespace {

constexpr int kFade =
    96;  // samples: short enough not to be heard as a gap, long enough not to click

/// The granularity in which a card delivers: how much the deliveries of one hop differ from each
/// other within the last seconds (two windows that take turns). Deliveries that never differ tell
/// nothing finer than their own size.
class BurstMeter {
 public:
  void add(int frames, int window_blocks) {
    now_.least = std::min(now_.least, frames);
    now_.most = std::max(now_.most, frames);
    if (++blocks_ >= window_blocks) {
      before_ = now_;
      now_ = {};
      blocks_ = 0;
    }
  }
  int burst() const {
    const int least = std::min(now_.least, before_.least);
    const int most = std::max(now_.most, before_.most);
    return most > least ? most - least : std::max(0, most);
  }
  void reset() { *this = {}; }

 private:
  struct Window {
    int least = kHuge;
    int most = -kHuge;
  };
  static constexpr int kHuge = 1 << 28;
  Window now_;
  Window before_;
  int blocks_ = 0;
};

/// Where a card's clock stands, in frames ahead of the ring's, and by how much it gains in a hop.
///
/// A Kalman filter of offset and slope. What was delivered bounds the offset from below, and from
/// above by one burst more; the bounds of two hops in a row are intersected. Only a bound that the
/// prediction breaks, or one narrow enough to be a measurement, corrects the state: the inside of a
/// wide bound says nothing, and a filter that trusted it would learn a slope of 0.
class ClockObserver {
 public:
  ClockObserver(int hop, int sample_rate, double max_ppm)
      : hop_(hop), slope_limit_(max_ppm * 1e-6 * hop), scale_(sample_rate / 48000.0) {}

  void reset() {
    known_ = false;
    slope_ = 0;
    slope_variance_ = initial_slope_variance();
  }
  /// Once per hop. `delivered`: frames in total less hops passed; burst: granularity.
  void update(double delivered, double burst) {
    const bool moved = delivered != last_delivered_;
    double low = std::max(delivered, last_delivered_);
    double high = std::min(delivered, last_delivered_) + burst;
    if (low > high) {  // something was lost in between: only the newest bound counts
      low = delivered;
      high = delivered + burst;
    }
    if (!known_) {
      anchor(delivered + 0.5 * burst, burst);
      last_delivered_ = delivered;
      slope_variance_ = initial_slope_variance();
      known_ = true;
      return;
    }
    last_delivered_ = delivered;
    predict();
    const double width = high - low;
    const bool measured = width <= 32 * scale_ || (moved && width <= 0.5 * hop_);
    const double nearest = measured ? 0.5 * (low + high) : std::clamp(offset_, low, high);
    const double error = nearest - offset_;
    if (error == 0) {
      strange_ = silent_hops_ = 0;
      return;
    }
    // Late threads and drivers make the upper bound softer than the lower one.
    const double sigma = measured ? std::max(12 * scale_, width) : (error > 0 ? 12 : 50) * scale_;
    const double variance = offset_variance_ + sigma * sigma;
    if (std::abs(error) > 4 * std::sqrt(variance) + 2) {
      // A gap, a flood or a granularity not seen before: not a clock. When it stays, start again
      // from the bound with the old slope, less sure of it.
      if (++strange_ >= 12) {
        anchor(nearest, burst);
        // After a gap the clock is the old one.
        const double doubt = silent_hops_ > 4 ? 0.005 : 0.16;
        slope_variance_ = std::max(slope_variance_, doubt * initial_slope_variance());
        silent_hops_ = 0;
        anchored_ = true;
      }
      return;
    }
    strange_ = silent_hops_ = 0;
    const double gain = offset_variance_ / variance;
    const double slope_gain = covariance_ / variance;
    offset_ += gain * error;
    anchored_ = anchored_ || std::abs(gain * error) > 8 * scale_;
    slope_ = std::clamp(slope_ + slope_gain * error, -slope_limit_, slope_limit_);
    slope_variance_ -= slope_gain * covariance_;
    covariance_ *= 1 - gain;
    offset_variance_ *= 1 - gain;
  }
  /// Once per hop in which the card delivered nothing: its clock runs on, unseen.
  void coast() {
    if (known_) predict();
    ++silent_hops_;
  }
  bool known() const { return known_ && strange_ == 0; }
  /// True once after the offset has jumped by new knowledge.
  bool take_anchored() { return std::exchange(anchored_, false); }
  double offset() const { return offset_; }
  double slope() const { return slope_; }
  double slope_ppm() const { return slope_ / hop_ * 1e6; }

 private:
  double initial_slope_variance() const {
    const double sigma = 150e-6 * hop_;
    return sigma * sigma;
  }
  void anchor(double offset, double burst) {
    offset_ = offset;
    offset_variance_ = 100 * scale_ * scale_ + burst * burst / 12;
    covariance_ = 0;
    strange_ = 0;
  }
  void predict() {
    offset_ += slope_;
    offset_variance_ += 2 * covariance_ + slope_variance_ + 1e-4;
    covariance_ += slope_variance_;
    // Quartz wanders by about 0.05 ppm in a second.
    const double wander = 0.005e-6 * hop_;
    slope_variance_ += wander * wander;
  }

  const int hop_;
  const double slope_limit_;
  const double scale_;
  bool known_ = false;
  bool anchored_ = false;
  int strange_ = 0;
  int silent_hops_ = 0;
  double last_delivered_ = 0;
  double offset_ = 0;
  double slope_ = 0;
  double offset_variance_ = 0;
  double covariance_ = 0;
  double slope_variance_ = 0;
};

}  // namespace

class DriftCompensator::Impl {
 public:
  Impl(const DriftCompensatorConfig& config, std::unique_ptr<FractionalResampler> resampler)
      : config_(config),
        target_(static_cast<int>(config.target_latency_ms * 1e-3F *
                                 static_cast<float>(config.sample_rate))),
        capacity_(config.sample_rate),
        max_in_(max_in(config)),
        resampler_(std::move(resampler)),
        fifo_(config.channels, capacity_),
        scratch_(config.channels, max_in_),
        clock_(config.hop, config.sample_rate, config.max_ppm) {
    proportional_ = 1.0 / (kFillSeconds * config.sample_rate);
  }

  static int max_in(const DriftCompensatorConfig& config) {
    return config.hop + config.hop / 8 + 8;
  }

  void push(ConstFrameView in, double pending) noexcept {
    assert(in.channels() == config_.channels || in.frames() == 0);
    pending_ = std::isfinite(pending) ? std::clamp(pending, 0.0, 48000.0) : 0.0;
    if (in.frames() <= 0) return;
    pushed_ += in.frames();
    since_pull_ += in.frames();
    int skip = std::max(0, in.frames() - capacity_);
    const int count = in.frames() - skip;
    if (fill_ + count > capacity_) {
      drop(fill_ + count - capacity_);
      overflow_ = true;
    }
    const int write = (read_ + fill_) % capacity_;
    const int first = std::min(count, capacity_ - write);
    for (int c = 0; c < config_.channels; ++c) {
      const float* from = in[c].data() + skip;
      store(from, first, fifo_[c].data() + write);
      store(from + first, count - first, fifo_[c].data());
    }
    fill_ += count;
  }

  void pull(FrameView out) noexcept {
    assert(out.channels() == config_.channels && out.frames() == config_.hop);
    // Floods and dead cards are no bursts.
    if ((since_pull_ > 0 || running_) && since_pull_ <= config_.sample_rate / 20) {
      burst_.add(since_pull_, kBurstWindowBlocks);
    }
    observe(since_pull_ == 0);
    since_pull_ = 0;
    const int least = config_.hop + burst() + kMargin;
    // Knowledge jumps may have moved the set point: it returns slowly, by 20 ppm.
    const double most = 20e-6 * config_.hop;
    setpoint_ += std::clamp(std::max<double>(target_, least) - setpoint_, -most, most);
    setpoint_ = std::max<double>(setpoint_, least);
    if (!running_) {
      setpoint_ = std::max<double>(target_, least);
      start();
    } else if (overflow_ || ahead_of_reader() > 2.0 * setpoint_ + 0.1 * config_.sample_rate) {
      ++overruns_;
      render(out, true);
      stop();
      overflow_ = false;
      return;
    } else if (clock_.take_anchored()) {
      // Only the knowledge of the offset has changed: live with the fill that there is.
      const double ahead = ahead_of_reader();
      if (ahead > least && ahead < 2.0 * setpoint_) setpoint_ = ahead;
    }
    overflow_ = false;
    if (!running_) {
      silence(out, 0);
      return;
    }
    steer();
    render(out, false);
  }

  void reset() noexcept {
    fill_ = read_ = since_pull_ = 0;
    pushed_ = 0;
    pending_ = 0;
    clock_.reset();
    ring_time_ = 0;
    underruns_ = overruns_ = 0;
    overflow_ = false;
    burst_.reset();
    stop();
  }

  DriftCompensatorMetrics metrics() const noexcept {
    DriftCompensatorMetrics m;
    m.ppm = static_cast<float>(clock_.slope_ppm());
    m.fill_frames = static_cast<float>(running_ ? last_fill_ : fill_);
    m.latency_ms = (m.fill_frames + static_cast<float>(resampler_->latency_frames())) * 1e3F /
                   static_cast<float>(config_.sample_rate);
    m.underruns = underruns_;
    m.overruns = overruns_;
    m.synced = synced_;
    return m;
  }

 private:
  static constexpr int kMargin = 24;
  static constexpr int kBurstWindowBlocks = 500;
  static constexpr double kFillSeconds = 3.0;  // time constant with which the fill is corrected

  static void store(const float* from, int count, float* to) noexcept {
    for (int i = 0; i < count; ++i) {
      // A broken sample would ring for 64 samples in the resampler: it becomes silence here.
      to[i] = std::abs(from[i]) < 1e3F ? from[i] : 0.0F;
    }
  }
  void drop(int frames) noexcept {
    read_ = (read_ + frames) % capacity_;
    fill_ -= frames;
  }
  int burst() const noexcept { return burst_.burst(); }

  void observe(bool silent) noexcept {
    if (pushed_ == 0) return;
    ring_time_ += config_.hop;
    const double delivered = static_cast<double>(pushed_ - ring_time_) + pending_;
    if (silent) {
      clock_.coast();
    } else {
      clock_.update(delivered, pending_ > 0 ? 1.0 : burst());
    }
  }

  /// Frames between the reader and where the card's clock stands now.
  double ahead_of_reader() const noexcept {
    const double card = clock_.offset() + static_cast<double>(ring_time_);
    const double reader = static_cast<double>(pushed_ - fill_);
    return card - reader;
  }

  void start() noexcept {
    if (!clock_.known() || burst() == 0) return;
    const double ahead = ahead_of_reader();
    if (ahead < setpoint_ || fill_ < config_.hop + kMargin) return;
    drop(std::min(fill_ - config_.hop - kMargin, static_cast<int>(ahead - setpoint_)));
    resampler_->reset();
    running_ = true;
    clock_.take_anchored();
    last_fill_ = setpoint_;
    fade_in_ = true;
    settled_blocks_ = 0;
  }

  void stop() noexcept {
    running_ = false;
    synced_ = false;
    burst_.reset();
    settled_blocks_ = 0;
  }

  void steer() noexcept {
    const double error = ahead_of_reader() - setpoint_;
    last_fill_ = error + setpoint_;
    const double limit = config_.max_ppm * 1e-6;
    const double correction = std::clamp(error * proportional_, -limit, limit);
    // Frames to take from the FIFO for each frame of the ring.
    step_ = 1.0 + clock_.slope() / config_.hop + correction;
    const double tolerance = config_.sample_rate * 1e-3;
    if (std::abs(error) < tolerance) {
      if (++settled_blocks_ >= 100) synced_ = true;
    } else if (std::abs(error) > 4 * tolerance) {
      settled_blocks_ = 0;
      synced_ = false;
    }
  }

  void render(FrameView out, bool last) noexcept {
    const double ratio = 1.0 / step_;
    const int wanted = std::min(resampler_->needed(config_.hop, ratio), max_in_);
    const int take = std::min(wanted, fill_);
    const int first = std::min(take, capacity_ - read_);
    for (int c = 0; c < config_.channels; ++c) {
      const float* ring = fifo_[c].data();
      std::copy_n(ring + read_, first, scratch_[c].data());
      std::copy_n(ring, take - first, scratch_[c].data() + first);
    }
    int consumed = 0;
    int produced = 0;
    resampler_->process(std::as_const(scratch_).view().columns(0, take), ratio, out, consumed,
                        produced);
    read_ = (read_ + consumed) % capacity_;
    fill_ -= consumed;
    if (fade_in_) {
      fade(out, 0, std::min(kFade, produced), 0.0F, 1.0F);
      fade_in_ = false;
    }
    if (produced < config_.hop || last) {
      const int length = std::min(kFade, produced);
      fade(out, produced - length, length, 1.0F, 0.0F);
      silence(out, produced);
      if (!last) {
        ++underruns_;
        stop();
      }
    }
  }

  static void fade(FrameView out, int from, int count, float a, float b) noexcept {
    for (int c = 0; c < out.channels(); ++c) {
      float* row = out[c].data() + from;
      for (int i = 0; i < count; ++i) {
        row[i] *= a + (b - a) * (static_cast<float>(i) + 0.5F) / static_cast<float>(count);
      }
    }
  }
  static void silence(FrameView out, int from) noexcept {
    for (int c = 0; c < out.channels(); ++c) {
      std::fill(out[c].begin() + from, out[c].end(), 0.0F);
    }
  }

  const DriftCompensatorConfig config_;
  const int target_;
  const int capacity_;
  const int max_in_;
  std::unique_ptr<FractionalResampler> resampler_;
  FrameBuffer fifo_;     // channels x capacity, a ring
  FrameBuffer scratch_;  // channels x max_in
  double proportional_ = 0;

  int read_ = 0;
  int fill_ = 0;
  int since_pull_ = 0;
  std::int64_t pushed_ = 0;
  std::int64_t ring_time_ = 0;
  double pending_ = 0;
  double step_ = 1;
  double last_fill_ = 0;
  double setpoint_ = 0;
  BurstMeter burst_;
  ClockObserver clock_;
  int settled_blocks_ = 0;
  std::uint64_t underruns_ = 0;
  std::uint64_t overruns_ = 0;
  bool running_ = false;
  bool synced_ = false;
  bool fade_in_ = false;
  bool overflow_ = false;
};

Result<std::unique_ptr<DriftCompensator>> DriftCompensator::create(
    const DriftCompensatorConfig& config) {
  if (config.channels < 1 || config.channels > 16) {
    return Error{"drift compensator of " + std::to_string(config.channels) +
                 " channels; 1..16 are possible"};
  }
  if (config.sample_rate < 8000 || config.sample_rate > 192000) {
    return Error{"drift compensator at " + std::to_string(config.sample_rate) +
                 " Hz; 8000..192000 are possible"};
  }
  if (config.hop < 16 || config.hop > config.sample_rate / 20) {
    return Error{"drift compensator with a hop of " + std::to_string(config.hop) +
                 " frames; 16 frames to 50 ms are possible"};
  }
  if (!(config.target_latency_ms >= 10 && config.target_latency_ms <= 200)) {
    return Error{"drift compensator: target latency must be 10..200 ms"};
  }
  if (!(config.max_ppm >= 50 && config.max_ppm <= 2000)) {
    return Error{"drift compensator: max_ppm must be 50..2000"};
  }
  CONCLAVE_TRY(auto resampler,
               FractionalResampler::create({config.channels, Impl::max_in(config)}));
  return std::unique_ptr<DriftCompensator>(
      new DriftCompensator(std::make_unique<Impl>(config, std::move(resampler))));
}

DriftCompensator::DriftCompensator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DriftCompensator::~DriftCompensator() = default;
void DriftCompensator::push(ConstFrameView in, double pending_frames) noexcept {
  impl_->push(in, pending_frames);
}
void DriftCompensator::pull(FrameView out) noexcept { impl_->pull(out); }
void DriftCompensator::reset() noexcept { impl_->reset(); }
DriftCompensatorMetrics DriftCompensator::metrics() const noexcept { return impl_->metrics(); }

}  // namespace conclave::dsp
