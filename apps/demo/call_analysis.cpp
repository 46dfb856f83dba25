// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/call_analysis.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>

#include "base/frame_view.h"
#include "dsp/transform/real_fft.h"

namespace conclave::apps {
namespace {

constexpr double kWindowSeconds = 1.0;
constexpr double kHopSeconds = 0.25;
constexpr double kLowHz = 300.0;
constexpr double kHighHz = 3800.0;
// A window counts when its peak stands this far above the typical value of the correlation...
constexpr float kPeakOverSpread = 7.0F;
// ...and the source really speaks in it.
constexpr double kActiveShare = 0.3;
constexpr double kStepSeconds = 0.02;

double db(double power) { return 10.0 * std::log10(power + 1e-14); }

double mean_power(std::span<const float> x) {
  double sum = 0.0;
  for (const float v : x) sum += static_cast<double>(v) * v;
  return x.empty() ? 0.0 : sum / static_cast<double>(x.size());
}

// The samples of [begin, begin + count) of a recording, zeros where it has none.
void slice(const TimedRecording& r, std::int64_t begin, std::span<float> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t at = begin + static_cast<std::int64_t>(i);
    out[i] = at >= 0 && at < static_cast<std::int64_t>(r.samples.size())
                 ? r.samples[static_cast<std::size_t>(at)]
                 : 0.0F;
  }
}

std::int64_t sample_at(const TimedRecording& r, std::int64_t time_ns) {
  return static_cast<std::int64_t>(
      std::llround(static_cast<double>(time_ns - r.start_ns) * 1e-9 * r.sample_rate));
}

double power_between(const TimedRecording& r, std::int64_t begin_ns, std::int64_t end_ns) {
  const auto count = static_cast<std::int64_t>(r.samples.size());
  const std::int64_t a = std::clamp<std::int64_t>(sample_at(r, begin_ns), 0, count);
  const std::int64_t b = std::clamp<std::int64_t>(sample_at(r, end_ns), a, count);
  return mean_power(
      std::span(r.samples).subspan(static_cast<std::size_t>(a), static_cast<std::size_t>(b - a)));
}

bool overlaps(std::span<const Interval> intervals, std::int64_t begin, std::int64_t end) {
  return std::any_of(intervals.begin(), intervals.end(),
                     [&](const Interval& i) { return i.begin_ns < end && begin < i.end_ns; });
}

double angle_between(double a, double b) {
  const double d = std::fabs(std::fmod(a - b, 360.0));
  return std::min(d, 360.0 - d);
}

}  // namespace

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0.0;
  std::sort(values.begin(), values.end());
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (at - static_cast<double>(below));
}

std::vector<Interval> active_intervals(const TimedRecording& recording, double below_peak_db,
                                       double bridge_ms) {
  const auto step = static_cast<std::size_t>(kStepSeconds * recording.sample_rate);
  const std::size_t steps = recording.samples.size() / step;
  std::vector<double> level(steps);
  for (std::size_t i = 0; i < steps; ++i) {
    level[i] = db(mean_power(std::span(recording.samples).subspan(i * step, step)));
  }
  std::vector<Interval> found;
  if (steps == 0) return found;
  const double threshold = std::max(percentile(level, 0.95) - below_peak_db, -80.0);
  const auto step_ns = static_cast<std::int64_t>(kStepSeconds * 1e9);
  for (std::size_t i = 0; i < steps; ++i) {
    if (level[i] <= threshold) continue;
    const std::int64_t begin = recording.start_ns + static_cast<std::int64_t>(i) * step_ns;
    if (!found.empty() && static_cast<double>(begin - found.back().end_ns) <= bridge_ms * 1e6) {
      found.back().end_ns = begin + step_ns;
    } else {
      found.push_back({begin, begin + step_ns});
    }
  }
  return found;
}

Result<std::vector<double>> delays_ms(const TimedRecording& source, const TimedRecording& received,
                                      double longest_ms) {
  if (source.sample_rate != received.sample_rate || source.sample_rate <= 0) {
    return Error{"the two recordings must have the same sample rate"};
  }
  const int rate = source.sample_rate;
  const auto window = static_cast<std::int64_t>(kWindowSeconds * rate);
  const auto longest = static_cast<std::int64_t>(longest_ms * 1e-3 * rate);
  const int size = static_cast<int>(std::bit_ceil(static_cast<std::size_t>(2 * window + longest)));
  CONCLAVE_TRY(const auto fft, dsp::RealFft::create(size));
  FrameBuffer time(2, size);
  SpectrumBuffer spectrum(2, fft.bins());
  const int low = static_cast<int>(kLowHz * size / rate);
  const int high = std::min(static_cast<int>(kHighHz * size / rate), fft.bins() - 1);

  const double loud = [&] {
    std::vector<double> levels;
    for (std::size_t i = 0; i + 960 <= source.samples.size(); i += 960) {
      levels.push_back(db(mean_power(std::span(source.samples).subspan(i, 960))));
    }
    return percentile(std::move(levels), 0.95);
  }();

  std::vector<double> delays;
  const auto hop = static_cast<std::int64_t>(kHopSeconds * rate);
  const auto total = static_cast<std::int64_t>(source.samples.size());
  for (std::int64_t at = 0; at + window <= total; at += hop) {
    int active = 0;
    int steps = 0;
    for (std::int64_t i = at; i + 960 <= at + window; i += 960, ++steps) {
      const auto part = std::span(source.samples).subspan(static_cast<std::size_t>(i), 960);
      active += db(mean_power(part)) > loud - 30.0 ? 1 : 0;
    }
    if (active < kActiveShare * steps) continue;

    const std::int64_t begin_ns =
        source.start_ns + static_cast<std::int64_t>(static_cast<double>(at) * 1e9 / rate);
    const std::int64_t in_received = sample_at(received, begin_ns);
    const std::int64_t length = window + longest;
    if (in_received < 0 ||
        in_received + length > static_cast<std::int64_t>(received.samples.size())) {
      continue;
    }
    time.clear();
    slice(source, at, time[0].first(static_cast<std::size_t>(window)));
    slice(received, in_received, time[1].first(static_cast<std::size_t>(length)));
    for (int c = 0; c < 2; ++c) fft.forward(time[c], spectrum[c]);
    for (int k = 0; k < fft.bins(); ++k) {
      const auto bin = static_cast<std::size_t>(k);
      const std::complex<float> cross = spectrum[1][bin] * std::conj(spectrum[0][bin]);
      const float magnitude = std::abs(cross);
      spectrum[0][bin] = k < low || k > high || magnitude < 1e-20F ? 0.0F : cross / magnitude;
    }
    fft.inverse(spectrum[0], time[0]);

    float peak = 0.0F;
    std::int64_t where = 0;
    double spread = 0.0;
    for (std::int64_t lag = 0; lag < longest; ++lag) {
      const float value = std::fabs(time[0][static_cast<std::size_t>(lag)]);
      spread += static_cast<double>(value) * value;
      if (value > peak) {
        peak = value;
        where = lag;
      }
    }
    const double rms = std::sqrt(spread / static_cast<double>(longest));
    if (peak < kPeakOverSpread * rms) continue;
    delays.push_back(1e3 * static_cast<double>(where) / rate);
  }
  return delays;
}

Result<EchoReduction> echo_reduction(const TimedRecording& raw, const TimedRecording& sent,
                                     const TimedRecording& loudspeaker,
                                     std::span<const Interval> near_speech, double settle_seconds) {
  const auto far_speech = active_intervals(loudspeaker, 30.0, 100.0);
  const std::int64_t begin = std::max({raw.start_ns, sent.start_ns, loudspeaker.start_ns});
  const std::int64_t end = std::min({raw.end_ns(), sent.end_ns(), loudspeaker.end_ns()});
  const auto step = static_cast<std::int64_t>(kStepSeconds * 1e9);
  // Reverberation and the ends of words belong to neither class.
  constexpr std::int64_t kGuard = 400'000'000;

  double settled = 0.0;
  double raw_echo = 0.0, sent_echo = 0.0, raw_noise = 0.0, sent_noise = 0.0;
  int echo_steps = 0, noise_steps = 0;
  for (std::int64_t t = begin; t + step <= end; t += step) {
    const bool far_now = overlaps(far_speech, t, t + step);
    if (far_now) settled += kStepSeconds;
    if (overlaps(near_speech, t - kGuard, t + kGuard)) continue;
    if (far_now) {
      if (settled < settle_seconds) continue;
      raw_echo += power_between(raw, t, t + step);
      sent_echo += power_between(sent, t, t + step);
      ++echo_steps;
    } else if (!overlaps(far_speech, t - kGuard, t + kGuard)) {
      raw_noise += power_between(raw, t, t + step);
      sent_noise += power_between(sent, t, t + step);
      ++noise_steps;
    }
  }
  if (echo_steps == 0) {
    return Error{"there is no time in which only the far end speaks; record longer"};
  }
  const double raw_floor = noise_steps > 0 ? raw_noise / noise_steps : 0.0;
  const double sent_floor = noise_steps > 0 ? sent_noise / noise_steps : 0.0;
  EchoReduction result;
  result.seconds = echo_steps * kStepSeconds;
  const double raw_power = std::max(raw_echo / echo_steps - raw_floor, 1e-14);
  // What is left can hide in the noise: never claim more than a tenth of that floor.
  const double sent_power =
      std::max(sent_echo / echo_steps - sent_floor, std::max(0.1 * sent_floor, 1e-14));
  result.raw_db = db(raw_power);
  result.sent_db = db(sent_power);
  result.reduction_db = result.raw_db - result.sent_db;
  return result;
}

DirectionScore direction_score(std::span<const DirectionSample> truth,
                               std::span<const DirectionSample> believed, double tolerance_deg) {
  DirectionScore score;
  std::vector<double> errors;
  int within = 0;
  std::size_t newest = 0;
  for (const DirectionSample& t : truth) {
    if (!t.speaking) continue;
    while (newest + 1 < believed.size() && believed[newest + 1].time_ns <= t.time_ns) ++newest;
    if (believed.empty() || believed[newest].time_ns > t.time_ns) continue;
    const double error = angle_between(t.azimuth_deg, believed[newest].azimuth_deg);
    errors.push_back(error);
    within += error <= tolerance_deg ? 1 : 0;
  }
  score.frames = static_cast<int>(errors.size());
  if (score.frames > 0) score.share_within = static_cast<double>(within) / score.frames;
  score.median_error_deg = percentile(std::move(errors), 0.5);
  return score;
}

}  // namespace conclave::apps
