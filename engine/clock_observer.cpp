// SPDX-License-Identifier: Apache-2.0
#include "engine/clock_observer.h"

#include <algorithm>
#include <cmath>
#include <complex>

namespace conclave::engine {
namespace {

constexpr int kRate = 8000;
constexpr int kWindow = 2048;   // 256 ms
constexpr int kLatest = 1600;   // 200 ms: the most that a satellite may lag
constexpr int kUsual = 480;     // 60 ms: where its window is before the delay is found
constexpr int kStepBlocks = 8;  // a step each 80 ms
constexpr float kStepSeconds = 0.08F;
constexpr float kSmoothing = 0.12F;     // of the coherence: about 0.6 s
constexpr float kForget = 0.012F;       // of the turn: about 7 s
constexpr float kDelayForget = 0.025F;  // of the delay: about 3 s
constexpr float kClear = 5.5F;          // a peak that much above the rest is a delay
constexpr int kStepsForDelay = 12;
constexpr int kTapsPerPhase = 12;
constexpr float kLowHz = 200.0F;
constexpr float kHighHz = 3600.0F;
constexpr float kShortest = 0.5F;  // seconds between coherences that tell anything
constexpr float kMaxPpm = 400.0F;
constexpr float kSure = 0.25F;
constexpr float kTurnsBeforeSure = 10.0F;
constexpr float kUnsteady = 0.2F;  // weight of what was heard across a change of talkers

constexpr int bin_of(float hz) { return static_cast<int>(hz * kWindow / kRate); }
constexpr std::size_t kFirst = bin_of(kLowHz);
constexpr std::size_t kEnd = bin_of(kHighHz);

std::complex<float> turned(float radians) { return {std::cos(radians), std::sin(radians)}; }

}  // namespace

Result<std::unique_ptr<ClockObserver>> ClockObserver::create(int sample_rate, int hop,
                                                             int satellites) {
  CONCLAVE_TRY(auto fft, dsp::RealFft::create(kWindow));
  std::unique_ptr<ClockObserver> observer(
      new ClockObserver(sample_rate, hop, satellites, std::move(fft)));
  const int bins = observer->fft_.bins();
  for (int s = 0; s < satellites; ++s) {
    Line line;
    line.cross = SpectrumBuffer(1, bins);
    line.power = FrameBuffer(1, bins);
    line.past = SpectrumBuffer(kLagSteps, bins);
    line.turn = SpectrumBuffer(1, bins);
    line.phase = SpectrumBuffer(1, bins);
    line.offset = kUsual;
    observer->lines_.push_back(std::move(line));
  }
  return observer;
}

ClockObserver::ClockObserver(int sample_rate, int hop, int satellites, dsp::RealFft fft)
    : hop_(hop), factor_(sample_rate / kRate), fft_(std::move(fft)) {
  const int taps = kTapsPerPhase * factor_;
  double sum = 0.0;
  for (int k = 0; k < taps; ++k) {
    const double t = (k - (taps - 1) / 2.0) / factor_;
    const double sinc = std::abs(t) < 1e-9 ? 1.0 : std::sin(M_PI * t) / (M_PI * t);
    const double value = sinc * (0.5 + 0.5 * std::cos(2.0 * M_PI * t / kTapsPerPhase));
    filter_.push_back(static_cast<float>(value));
    sum += value;
  }
  for (float& tap : filter_) tap = static_cast<float>(tap / sum);
  const int rows = 1 + satellites;
  tail_ = FrameBuffer(rows, taps + hop);
  history_ = FrameBuffer(rows, kWindow + kLatest);
  hann_ = FrameBuffer(1, kWindow);
  for (int i = 0; i < kWindow; ++i) {
    hann_[0][static_cast<std::size_t>(i)] =
        0.5F - 0.5F * std::cos(2.0F * static_cast<float>(M_PI) * static_cast<float>(i) / kWindow);
  }
  work_ = FrameBuffer(1, kWindow);
  lags_ = FrameBuffer(1, kWindow);
  reference_power_ = FrameBuffer(1, fft_.bins());
  reference_ = SpectrumBuffer(1, fft_.bins());
  spectrum_ = SpectrumBuffer(1, fft_.bins());
  product_ = SpectrumBuffer(1, fft_.bins());
}

void ClockObserver::process(ConstFrameView reference, ConstFrameView satellites,
                            bool steady) noexcept {
  if (lines_.empty()) return;
  decimate(reference.rows(0, 1), 0);
  for (std::size_t s = 0; s < lines_.size(); ++s) {
    const int row = static_cast<int>(s);
    decimate(satellites.rows(row, 1), row + 1);
  }
  if (block_ == 0) {
    window(0, 0, reference_[0]);
    for (std::size_t k = kFirst; k < kEnd; ++k) {
      float& power = reference_power_[0][k];
      power += kSmoothing * (std::norm(reference_[0][k]) - power);
    }
  } else if (block_ <= static_cast<int>(lines_.size())) {
    step(lines_[static_cast<std::size_t>(block_ - 1)], block_, steady);
  }
  block_ = (block_ + 1) % kStepBlocks;
}

void ClockObserver::decimate(ConstFrameView in, int row) noexcept {
  const auto past = tail_[row];
  std::copy(past.begin() + hop_, past.end(), past.begin());
  const auto fresh = past.last(static_cast<std::size_t>(hop_));
  std::ranges::transform(in[0], fresh.begin(), [](float v) { return std::isfinite(v) ? v : 0.0F; });
  const auto history = history_[row];
  const int count = hop_ / factor_;
  std::copy(history.begin() + count, history.end(), history.begin());
  const auto out = history.last(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const float* from = past.data() + (i + 1) * factor_;
    float sum = 0.0F;
    for (std::size_t k = 0; k < filter_.size(); ++k) sum += filter_[k] * from[k];
    out[static_cast<std::size_t>(i)] = sum;
  }
}

// The reference's window ends kLatest before now, a satellite's `delay` later than that. `block_`
// is how many blocks have come since the reference's window was taken.
void ClockObserver::window(int row, int delay, std::span<std::complex<float>> spectrum) noexcept {
  const int since = block_ * (hop_ / factor_);
  const int first = std::clamp(delay - since, 0, kLatest);
  const auto from = history_[row].subspan(static_cast<std::size_t>(first), kWindow);
  for (std::size_t i = 0; i < kWindow; ++i) work_[0][i] = from[i] * hann_[0][i];
  fft_.forward(work_[0], spectrum);
}

void ClockObserver::step(Line& line, int row, bool steady) noexcept {
  const bool tells = line.steps >= kLagSteps;
  const int earliest = block_ * (hop_ / factor_);
  line.offset = std::clamp(line.offset, earliest, kLatest);

  window(row, line.offset, spectrum_[0]);
  const auto past = line.past[line.steps % kLagSteps];
  // Both coherences are counted from zero delay, so that moving the window leaves no trace.
  const float turn_of_offset =
      -2.0F * static_cast<float>(M_PI) * static_cast<float>(line.offset) / kWindow;
  const auto turn_step = turned(turn_of_offset);
  auto phase = turned(turn_of_offset * static_cast<float>(kFirst));
  const float learn = std::max(kDelayForget, 1.0F / static_cast<float>(line.steps + 1));
  const float weight = steady ? 1.0F : kUnsteady;
  line.turns += tells ? weight : 0.0F;
  const float forget = weight * std::max(kForget, 1.0F / std::max(line.turns, 1.0F));
  float loudness = 0.0F;
  float told = 0.0F;
  for (std::size_t k = kFirst; k < kEnd; ++k) {
    const auto s = spectrum_[0][k];
    line.power[0][k] += kSmoothing * (std::norm(s) - line.power[0][k]);
    const auto now = std::conj(reference_[0][k]) * s * phase;
    phase *= turn_step;
    loudness += std::abs(now);
    line.phase[0][k] += learn * (now / (std::abs(now) + 1e-20F) - line.phase[0][k]);
    auto& cross = line.cross[0][k];
    cross += kSmoothing * (now - cross);
    const auto coherence = cross / std::sqrt(reference_power_[0][k] * line.power[0][k] + 1e-20F);
    if (tells) {
      const auto turn = coherence * std::conj(past[k]);
      told += std::abs(turn);
      line.turn[0][k] += forget * (turn - line.turn[0][k]);
    }
    past[k] = coherence;
  }
  // An average is as old as the sound in it: in a pause it tells of the talk before. So the time
  // between two coherences is not T but what lies between their sounds.
  const float time = static_cast<float>(line.steps) * kStepSeconds;
  line.loudness += kSmoothing * (loudness - line.loudness);
  line.sound_time += kSmoothing * loudness / (line.loudness + 1e-20F) * (time - line.sound_time);
  float& past_time = line.past_time[static_cast<std::size_t>(line.steps % kLagSteps)];
  if (tells) {
    line.told += forget * (told - line.told);
    line.told_seconds += forget * (told * (line.sound_time - past_time) - line.told_seconds);
  }
  past_time = line.sound_time;

  ++line.steps;
  find_delay(line);
  if (tells) find_drift(line);
}

void ClockObserver::find_delay(Line& line) noexcept {
  for (std::size_t k = kFirst; k < kEnd; ++k) product_[0][k] = line.phase[0][k];
  fft_.inverse(product_[0], lags_[0]);
  const auto range = lags_[0].first(kLatest);
  const auto peak = std::ranges::max_element(range);
  float energy = 0.0F;
  for (const float v : lags_[0]) energy += v * v;
  if (*peak * *peak * kWindow < kClear * kClear * energy || line.steps < kStepsForDelay) return;
  const auto delay = static_cast<int>(peak - range.begin());
  line.seen.delay_known = true;
  line.seen.delay_ms = 1000.0F * static_cast<float>(delay) / kRate;
  if (std::abs(delay - line.offset) > kWindow / 16) line.offset = delay;
}

void ClockObserver::find_drift(Line& line) noexcept {
  if (!(line.told > 0.0F) || !(line.told_seconds > kShortest * line.told)) return;
  const float seconds = line.told_seconds / line.told;
  // The turn is exp(-j 2 pi f ppm T): its inverse transform peaks at that delay.
  const auto turn = line.turn[0];
  float total = 0.0F;
  for (std::size_t k = kFirst; k < kEnd; ++k) {
    product_[0][k] = turn[k];
    total += std::abs(turn[k]);
  }
  fft_.inverse(product_[0], lags_[0]);
  const int reach = static_cast<int>(kMaxPpm * 1e-6F * seconds * kRate) + 1;
  int best = 0;
  float peak = -1.0F;
  for (int lag = -reach; lag <= reach; ++lag) {
    const float value = lags_[0][static_cast<std::size_t>((lag + kWindow) % kWindow)];
    if (value > peak) {
      peak = value;
      best = lag;
    }
  }
  // Newton's steps from the sample to the true top of the correlation.
  float lag = static_cast<float>(best);
  float aligned = 0.0F;
  for (int round = 0; round < 5; ++round) {
    float rise = 0.0F, curvature = 0.0F;
    aligned = 0.0F;
    for (std::size_t k = kFirst; k < kEnd; ++k) {
      const float w = 2.0F * static_cast<float>(M_PI) * static_cast<float>(k) / kWindow;
      const auto rest = turn[k] * turned(w * lag);
      aligned += rest.real();
      rise += w * rest.imag();
      curvature += w * w * rest.real();
    }
    if (curvature <= 0.0F) break;
    lag -= std::clamp(rise / curvature, -0.3F, 0.3F);
  }
  line.seen.confidence = total > 0.0F ? std::max(aligned / total, 0.0F) : 0.0F;
  line.seen.ppm_known = line.turns > kTurnsBeforeSure && line.seen.confidence > kSure;
  if (line.seen.ppm_known) {
    line.seen.ppm = std::clamp(lag / kRate / seconds * 1e6F, -kMaxPpm, kMaxPpm);
  }
}

void ClockObserver::reset() noexcept {
  tail_.clear();
  history_.clear();
  reference_power_.clear();
  block_ = 0;
  for (auto& line : lines_) {
    line.cross.clear();
    line.power.clear();
    line.past.clear();
    line.turn.clear();
    line.phase.clear();
    line.past_time.fill(0.0F);
    line.loudness = line.sound_time = line.told = line.told_seconds = 0.0F;
    line.offset = kUsual;
    line.steps = 0;
    line.turns = 0.0F;
    line.seen = {};
  }
}

}  // namespace conclave::engine
