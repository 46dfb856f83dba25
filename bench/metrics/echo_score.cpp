// SPDX-License-Identifier: Apache-2.0
#include "bench/metrics/echo_score.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/metrics/fidelity.h"

namespace conclave::bench::metrics {
namespace {

constexpr double kEcho20Db = 20;
constexpr double kForever = std::numeric_limits<double>::infinity();

bool any(SignalView x) {
  return std::ranges::any_of(x, [](double value) { return value != 0; });
}

double sum_where(const std::vector<double>& values, const FrameMask& mask) {
  double sum = 0;
  for (std::size_t f = 0; f < std::min(values.size(), mask.size()); ++f)
    if (mask[f]) sum += values[f];
  return sum;
}

FrameMask operator&(FrameMask a, const FrameMask& b) {
  for (std::size_t f = 0; f < a.size(); ++f) a[f] = a[f] && b[f];
  return a;
}
FrameMask operator|(FrameMask a, const FrameMask& b) {
  for (std::size_t f = 0; f < a.size(); ++f) a[f] = a[f] || b[f];
  return a;
}
FrameMask operator!(FrameMask a) {
  a.flip();
  return a;
}

void add(Scores& scores, const char* name, double value) {
  if (std::isfinite(value)) scores.emplace_back(name, value);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Signal difference(SignalView a, SignalView b) {
  Signal out(a.begin(), a.end());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] -= b[i];
  return out;
}

}  // namespace

const std::vector<MetricInfo>& echo_metrics() {
  static const std::vector<MetricInfo> kMetrics = {
      {"erle_0_3", "ERLE 0–3 s", "dB", 1, 1,
       "echo return loss enhancement in the first 3 s of far-end-only time: convergence"},
      {"erle_3_5", "ERLE 3–5 s", "dB", 1, 1,
       "echo return loss enhancement from 3 to 5 s of far-end-only time"},
      {"erle_ss", "ERLE > 5 s", "dB", 1, 1,
       "echo return loss enhancement from 5 s of far-end-only time on: steady state"},
      {"erle_all", "ERLE", "dB", 1, 1, "echo return loss enhancement over all far-end-only time"},
      {"erle_cap", "cap", "dB", 0, 1, "ERLE that would leave exactly the noise"},
      {"t20_s", "to 20 dB", "s", -1, 2,
       "seconds of far-end-only time until the ERLE over 0.5 s reaches 20 dB to stay"},
      {"t20_change_s", "to 20 dB again", "s", -1, 2,
       "seconds of far-end-only time from the path change until 20 dB are back"},
      {"erle_after_change_3s", "ERLE after change", "dB", 1, 1,
       "echo return loss enhancement over 3 s from the path change on"},
      {"dt_si_sdr", "SI-SDR", "dB", 1, 1, "near talker in double talk, scale-invariant"},
      {"dt_sdr", "SDR", "dB", 1, 1, "near talker in double talk, any filter of 16 ms forgiven"},
      {"dt_stoi", "STOI", "", 1, 3, "intelligibility of the near talker in double talk"},
      {"dt_estoi", "ESTOI", "", 1, 3,
       "intelligibility of the near talker in double talk, extended"},
      {"dt_si_sdr_in", "SI-SDR mic", "dB", 0, 1, "SI-SDR of the microphone itself in double talk"},
      {"dt_sdr_in", "SDR mic", "dB", 0, 1, "SDR of the microphone itself in double talk"},
      {"dt_stoi_in", "STOI mic", "", 0, 3, "STOI of the microphone itself in double talk"},
      {"dt_estoi_in", "ESTOI mic", "", 0, 3, "ESTOI of the microphone itself in double talk"},
      {"dt_echo_att", "echo attenuation", "dB", 1, 1,
       "in double talk: how much less of the true echo the output holds"},
      {"dt_resid", "residual", "dB", 1, 1,
       "in double talk: all that is not the near talker, below echo and noise at the microphone"},
      {"ne_si_sdr", "near SI-SDR", "dB", 1, 1, "near talker alone: fidelity"},
      {"ne_sdr", "near SDR", "dB", 1, 1,
       "near talker alone: fidelity, any filter of 16 ms forgiven"},
      {"ne_stoi", "near STOI", "", 1, 3, "near talker alone: intelligibility"},
      {"ne_estoi", "near ESTOI", "", 1, 3, "near talker alone: extended intelligibility"},
      {"ne_gain", "near gain", "dB", 0, 2,
       "level change of the near talker alone; 0 = transparent"},
      {"noise_att", "noise attenuation", "dB", 0, 1, "level change where nobody talks"},
      {"lag_ms", "lag", "ms", -1, 1, "output after microphone, found in the sound"},
  };
  return kMetrics;
}

EchoJudge::EchoJudge(EchoCase recording)
    : case_(std::move(recording)), frame_(case_.rate / kFramesPerSecond) {
  mic_powers_ = frame_powers(case_.mic, frame_);
  FrameMask echo(mic_powers_.size(), false);
  FrameMask near(mic_powers_.size(), false);
  if (case_.has_truth) {
    echo = active_frames(case_.echo, frame_, 35);
    near = active_frames(case_.near, frame_, 45);
  } else {
    echo = spread(active_frames(case_.far, frame_, 35), 0, 10);
    if (case_.talk == Talk::kDouble || case_.talk == Talk::kNear) near.assign(near.size(), true);
    if (case_.talk == Talk::kNear || case_.talk == Talk::kNobody) echo.assign(echo.size(), false);
  }
  far_only_ = echo & !spread(near, 5, 15);
  near_only_ = near & !spread(echo, 5, 15);
  both_ = echo & near;
  both_wide_ = spread(both_, 2, 2);
  idle_ = !spread(echo | near, 5, 25);
  if (!far_only_.empty()) far_only_.back() = false;
  if (case_.has_truth && seconds_of(both_) > 2) {
    const Signal s = pick(case_.near, both_wide_, frame_);
    const Signal m = pick(case_.mic, both_wide_, frame_);
    const auto heard = intelligibility(s, m, case_.rate);
    add(double_talk_in_, "dt_si_sdr_in", si_sdr(s, m));
    add(double_talk_in_, "dt_sdr_in", fir_sdr(s, m, case_.rate));
    add(double_talk_in_, "dt_stoi_in", heard.stoi);
    add(double_talk_in_, "dt_estoi_in", heard.estoi);
  }
}

EchoJudge::Verdict EchoJudge::judge(SignalView out) const {
  Verdict verdict;
  Signal whole(out.begin(),
               out.begin() + static_cast<std::ptrdiff_t>(std::min(out.size(), case_.mic.size())));
  whole.resize(case_.mic.size(), 0.0);
  const int most = case_.rate / 5;
  Lag lag = find_lag(any(case_.near) ? case_.near : case_.mic, whole, most);
  if (lag.agreement < 0.3) lag = find_lag(case_.mic, whole, most);
  if (lag.agreement >= 0.2) verdict.lag = lag.samples;
  verdict.aligned.assign(whole.begin() + verdict.lag, whole.end());
  verdict.aligned.resize(whole.size(), 0.0);

  Scores& scores = verdict.scores;
  if (seconds_of(far_only_) > 1) judge_far_only(verdict.aligned, scores);
  if (case_.has_truth) {
    if (seconds_of(both_) > 2) judge_double_talk(verdict.aligned, scores);
    if (seconds_of(near_only_) > 1.5) judge_near_only(verdict, scores);
    judge_noise(verdict.aligned, scores);
  }
  if (lag.agreement >= 0.2) add(scores, "lag_ms", verdict.lag * 1000.0 / case_.rate);

  const auto powers = frame_powers(verdict.aligned, frame_);
  constexpr int kStep = kFramesPerSecond / 10;
  constexpr int kHalf = kFramesPerSecond / 4;
  const auto frames = static_cast<int>(powers.size());
  for (int f = kHalf; f + kHalf < frames; f += kStep) {
    double before = 0;
    double after = 0;
    int heard = 0;
    for (int g = f - kHalf; g < f + kHalf; ++g) {
      const auto at = static_cast<std::size_t>(g);
      if (!far_only_[at]) continue;
      before += mic_powers_[at];
      after += powers[at];
      ++heard;
    }
    if (heard < kHalf) continue;
    verdict.erle_time.push_back(static_cast<double>(f) / kFramesPerSecond);
    verdict.erle_db.push_back(power_db(before / (after + 1e-12)));
  }
  return verdict;
}

std::optional<double> EchoJudge::erle(SignalView out, const FrameMask& mask, double from,
                                      double to) const {
  FrameMask part(mask.size(), false);
  int seen = 0;
  for (std::size_t f = 0; f < mask.size(); ++f) {
    if (!mask[f]) continue;
    const double t = static_cast<double>(++seen) / kFramesPerSecond;
    part[f] = t > from && t <= to;
  }
  if (!(seconds_of(part) > 0.3)) return std::nullopt;
  return power_db(sum_where(mic_powers_, part) /
                  (sum_where(frame_powers(out, frame_), part) + 1e-12));
}

std::optional<std::optional<double>> EchoJudge::time_to_20_db(SignalView out, double start) const {
  constexpr std::size_t kWindow = kFramesPerSecond / 2;
  constexpr std::size_t kStay = 2 * kFramesPerSecond;
  const auto powers = frame_powers(out, frame_);
  std::vector<double> before;
  std::vector<double> after;
  for (std::size_t f = 0; f < far_only_.size(); ++f) {
    if (!far_only_[f] || static_cast<double>(f) / kFramesPerSecond < start) continue;
    before.push_back(mic_powers_[f]);
    after.push_back(powers[f]);
  }
  if (before.size() < 3 * kFramesPerSecond) return std::nullopt;
  std::vector<double> erle_db;
  for (std::size_t i = 0; i + kWindow <= before.size(); ++i) {
    double num = 0;
    double den = 0;
    for (std::size_t k = i; k < i + kWindow; ++k) {
      num += before[k];
      den += after[k];
    }
    erle_db.push_back(power_db(num / (den + 1e-12)));
  }
  for (std::size_t i = 0; i < erle_db.size(); ++i) {
    const auto first = erle_db.begin() + static_cast<std::ptrdiff_t>(i);
    const auto last = first + static_cast<std::ptrdiff_t>(std::min(kStay, erle_db.size() - i));
    if (*first >= kEcho20Db && median({first, last}) >= kEcho20Db - 3 &&
        *std::min_element(first, last) >= kEcho20Db - 8) {
      return static_cast<double>(i + kWindow) / kFramesPerSecond;
    }
  }
  return std::optional<double>();
}

void EchoJudge::judge_far_only(SignalView out, Scores& scores) const {
  const auto put = [&](const char* name, std::optional<double> value) {
    if (value) add(scores, name, *value);
  };
  put("erle_0_3", erle(out, far_only_, 0, 3));
  put("erle_3_5", erle(out, far_only_, 3, 5));
  put("erle_ss", erle(out, far_only_, 5, kForever));
  put("erle_all", erle(out, far_only_, 0, kForever));
  if (case_.has_truth && any(case_.noise)) {
    put("erle_cap", power_db(sum_where(mic_powers_, far_only_) /
                             sum_where(frame_powers(case_.noise, frame_), far_only_)));
  }
  if (const auto reached = time_to_20_db(out, 0)) scores.emplace_back("t20_s", *reached);
  if (!case_.change_seconds) return;
  const double change = *case_.change_seconds;
  if (const auto reached = time_to_20_db(out, change))
    scores.emplace_back("t20_change_s", *reached);
  FrameMask later = far_only_;
  for (std::size_t f = 0; f < later.size(); ++f)
    later[f] = later[f] && static_cast<double>(f) / kFramesPerSecond >= change;
  put("erle_after_change_3s", erle(out, later, 0, 3));
}

void EchoJudge::judge_double_talk(SignalView out, Scores& scores) const {
  const Signal s = pick(case_.near, both_wide_, frame_);
  const Signal o = pick(out, both_wide_, frame_);
  const Signal e = pick(case_.echo, both_wide_, frame_);
  const Signal noise = pick(case_.noise, both_wide_, frame_);
  const auto heard = intelligibility(s, o, case_.rate);
  add(scores, "dt_si_sdr", si_sdr(s, o));
  add(scores, "dt_sdr", fir_sdr(s, o, case_.rate));
  add(scores, "dt_stoi", heard.stoi);
  add(scores, "dt_estoi", heard.estoi);
  scores.insert(scores.end(), double_talk_in_.begin(), double_talk_in_.end());

  const Signal rest = difference(o, fit(s, o, static_cast<int>(std::lround(0.008 * case_.rate))));
  const auto block = static_cast<std::size_t>(case_.rate / 2);
  double echo_energy = 0;
  double left_energy = 0;
  for (std::size_t first = 0; first + block <= e.size(); first += block) {
    const SignalView part = SignalView(e).subspan(first, block);
    if (energy(part) < 1e-4) continue;
    const Signal left = fit(part, SignalView(rest).subspan(first, block),
                            static_cast<int>(std::lround(0.004 * case_.rate)));
    echo_energy += energy(part);
    left_energy += energy(left);
  }
  if (echo_energy > 0) add(scores, "dt_echo_att", power_db(echo_energy / (left_energy + 1e-12)));
  double unwanted = 0;
  for (std::size_t i = 0; i < e.size(); ++i) unwanted += (e[i] + noise[i]) * (e[i] + noise[i]);
  add(scores, "dt_resid", power_db(unwanted / (energy(rest) + 1e-12)));
}

void EchoJudge::judge_near_only(const Verdict& verdict, Scores& scores) const {
  // An output that is late ends before the recording does: what it had no time to say is no fault,
  // and 10 ms of 20 s would bound the fidelity at 33 dB.
  FrameMask said = near_only_;
  const int missing = (verdict.lag + frame_ - 1) / frame_;
  std::fill(said.end() - std::min(missing, static_cast<int>(said.size())), said.end(), false);
  const Signal s = pick(case_.near, said, frame_);
  const Signal m = pick(case_.mic, said, frame_);
  const Signal o = pick(verdict.aligned, said, frame_);
  const auto heard = intelligibility(s, o, case_.rate);
  add(scores, "ne_si_sdr", si_sdr(s, o));
  add(scores, "ne_sdr", fir_sdr(s, o, case_.rate));
  add(scores, "ne_stoi", heard.stoi);
  add(scores, "ne_estoi", heard.estoi);
  add(scores, "ne_gain", power_db(energy(o) / energy(m)));
}

void EchoJudge::judge_noise(SignalView out, Scores& scores) const {
  if (!(seconds_of(idle_) > 0.4)) return;
  add(scores, "noise_att",
      power_db(sum_where(mic_powers_, idle_) /
               (sum_where(frame_powers(out, frame_), idle_) + 1e-12)));
}

}  // namespace conclave::bench::metrics
