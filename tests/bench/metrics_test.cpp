// SPDX-License-Identifier: Apache-2.0
// Metrics against truths that are known by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "bench/metrics/echo_score.h"
#include "bench/metrics/fidelity.h"
#include "bench/metrics/signals.h"
#include "bench/room/random.h"
#include "bench/room/voices.h"

namespace conclave::bench::metrics {
namespace {

constexpr int kRate = 16000;

Signal noise(double seconds, double rms, std::uint64_t seed, int rate = kRate) {
  room::Random random(seed);
  Signal out(static_cast<std::size_t>(seconds * rate));
  for (double& x : out) x = rms * random.gaussian();
  return out;
}

Signal speech(double seconds, double rms, std::uint64_t seed, int rate = kRate) {
  const auto pieces = *room::load_utterances("synthetic", rate, seconds, seed);
  Signal out;
  for (const auto& piece : pieces) {
    for (const float x : piece) out.push_back(rms * static_cast<double>(x));
  }
  out.resize(static_cast<std::size_t>(seconds * rate), 0.0);
  return out;
}

Signal plus(const Signal& a, const Signal& b, double gain = 1) {
  Signal out(a);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += gain * b[i];
  return out;
}

Signal times(Signal x, double gain) {
  for (double& value : x) value *= gain;
  return x;
}

Signal delayed(const Signal& x, std::size_t samples) {
  Signal out(samples, 0.0);
  out.insert(out.end(), x.begin(), x.end() - static_cast<std::ptrdiff_t>(samples));
  return out;
}

double score(const Scores& scores, const std::string& name) {
  for (const auto& [key, value] : scores) {
    if (key == name && value) return *value;
  }
  ADD_FAILURE() << name << " was not measured";
  return std::nan("");
}

bool measured(const Scores& scores, const std::string& name) {
  return std::ranges::any_of(scores, [&](const auto& entry) { return entry.first == name; });
}

TEST(Signals, finds_a_lag_of_either_sign_of_the_signal) {
  const Signal x = speech(6, 0.1, 1);
  for (const int lag : {0, 1, 160, 3000}) {
    const Signal late = delayed(x, static_cast<std::size_t>(lag));
    EXPECT_EQ(find_lag(x, late, kRate / 5).samples, lag);
    EXPECT_EQ(find_lag(x, times(late, -0.3), kRate / 5).samples, lag);
    EXPECT_GT(find_lag(x, late, kRate / 5).agreement, 0.8);
  }
  EXPECT_LT(find_lag(x, noise(6, 0.1, 2), kRate / 5).agreement, 0.1);
  EXPECT_EQ(find_lag(x, Signal(x.size(), 0.0), kRate / 5).agreement, 0);
}

TEST(Signals, fit_finds_the_filter) {
  Signal x = noise(2, 0.1, 3);
  for (std::size_t i = 0; i < 64; ++i) x[i] = x[x.size() - 1 - i] = 0;  // nothing gets cut off
  Signal y(x.size(), 0.0);
  for (std::size_t n = 10; n + 5 < x.size(); ++n) y[n] = 0.5 * x[n - 7] - 0.25 * x[n + 4];
  const Signal fitted = fit(x, y, 64);
  EXPECT_LT(power_db(energy(plus(y, fitted, -1)) / energy(y)), -55);
  EXPECT_EQ(energy(fit(Signal(1000, 0.0), noise(0.0625, 1, 4), 64)), 0);
}

TEST(Signals, resampling_keeps_a_tone_and_its_time) {
  Signal tone(48000);
  for (std::size_t n = 0; n < tone.size(); ++n)
    tone[n] = std::sin(2 * std::numbers::pi * 997 * static_cast<double>(n) / 48000);
  const Signal out = resample(tone, 48000, 10000);
  ASSERT_EQ(out.size(), 10000U);
  for (std::size_t n = 500; n < 9500; ++n) {
    ASSERT_NEAR(out[n], std::sin(2 * std::numbers::pi * 997 * static_cast<double>(n) / 10000),
                0.01);
  }
}

TEST(Signals, activity_and_its_spread) {
  Signal x = noise(3, 0.1, 5);
  for (std::size_t i = kRate; i < 2 * kRate; ++i) x[i] *= 1e-4;
  const auto mask = active_frames(x, kRate / 50, 35);
  EXPECT_EQ(std::count(mask.begin(), mask.end(), true), 100);
  EXPECT_TRUE(mask[49] && !mask[50] && !mask[99] && mask[100]);
  const auto wide = spread(mask, 5, 15);
  EXPECT_TRUE(wide[64] && !wide[65] && !wide[94] && wide[95]);
}

TEST(Fidelity, si_sdr_is_the_snr_that_was_mixed) {
  const Signal x = speech(8, 0.1, 6);
  const Signal n = noise(8, 1, 7);
  for (const double snr : {-6.0, 0.0, 12.0, 30.0}) {
    const double gain = std::sqrt(energy(x) / energy(n)) * std::pow(10.0, -snr / 20);
    EXPECT_NEAR(si_sdr(x, times(plus(x, n, gain), 0.37)), snr, 0.15);
  }
}

TEST(Fidelity, fir_sdr_forgives_a_filter_and_no_noise) {
  const Signal x = speech(8, 0.1, 8);
  Signal y(x.size(), 0.0);
  for (std::size_t n = 1; n < x.size(); ++n) y[n] = x[n] - 0.9 * x[n - 1];  // a high-pass
  EXPECT_LT(si_sdr(x, y), 15);
  EXPECT_GT(fir_sdr(x, y, kRate), 45);
  const Signal n = noise(8, 1, 9);
  const double gain = std::sqrt(energy(y) / energy(n)) * 0.1;
  EXPECT_NEAR(fir_sdr(x, plus(y, n, gain), kRate), 20, 0.5);
}

TEST(Fidelity, intelligibility_runs_from_clean_to_noise) {
  for (const int rate : {16000, 48000}) {
    const Signal x = speech(8, 0.1, 10, rate);
    const auto clean = intelligibility(x, times(x, 0.2), rate);
    EXPECT_NEAR(clean.stoi, 1, 1e-6);
    EXPECT_NEAR(clean.estoi, 1, 1e-6);
    const Signal n = noise(8, 0.1, 11, rate);
    const auto poor = intelligibility(x, plus(x, n), rate);
    const auto poorer = intelligibility(x, plus(x, n, 4), rate);
    const auto nothing = intelligibility(x, n, rate);
    EXPECT_LT(poor.stoi, 0.95);
    EXPECT_LT(poorer.stoi, poor.stoi - 0.05);
    EXPECT_LT(poorer.estoi, poor.estoi - 0.05);
    EXPECT_LT(std::abs(nothing.estoi), 0.1);
  }
  EXPECT_TRUE(std::isnan(intelligibility(Signal(1000, 0.1), Signal(1000, 0.1), kRate).stoi));
}

// Echo for 12 s, near talker from 6 s to 18 s, a little noise.
EchoCase double_talk() {
  EchoCase c;
  c.talk = Talk::kDouble;
  c.has_truth = true;
  c.echo = speech(20, 0.1, 12);
  c.near = speech(20, 0.1, 13);
  for (std::size_t i = 12 * kRate; i < c.echo.size(); ++i) c.echo[i] = 0;
  for (std::size_t i = 0; i < c.near.size(); ++i)
    if (i < 6 * kRate || i >= 18 * kRate) c.near[i] = 0;
  c.noise = noise(20, 0.001, 14);
  c.mic = plus(plus(c.echo, c.near), c.noise);
  c.far = c.echo;
  return c;
}

TEST(EchoJudge, a_known_attenuation_is_found_in_each_part) {
  const EchoCase c = double_talk();
  const EchoJudge judge(c);
  // All echo 20 dB lower, noise halved, 10 ms late.
  const Signal out = delayed(plus(plus(c.near, c.echo, 0.1), c.noise, 0.5), kRate / 100);
  const auto verdict = judge.judge(out);
  EXPECT_EQ(verdict.lag, kRate / 100);
  EXPECT_NEAR(score(verdict.scores, "lag_ms"), 10, 1e-9);
  EXPECT_NEAR(score(verdict.scores, "erle_0_3"), 20, 0.3);
  EXPECT_NEAR(score(verdict.scores, "erle_all"), 20, 0.3);
  EXPECT_NEAR(score(verdict.scores, "erle_cap"), 40, 1.5);
  EXPECT_NEAR(score(verdict.scores, "dt_echo_att"), 20, 1);
  EXPECT_NEAR(score(verdict.scores, "dt_si_sdr") - score(verdict.scores, "dt_si_sdr_in"), 20, 0.7);
  EXPECT_NEAR(score(verdict.scores, "dt_resid"), 20, 1);
  EXPECT_GT(score(verdict.scores, "dt_stoi"), score(verdict.scores, "dt_stoi_in"));
  EXPECT_NEAR(score(verdict.scores, "ne_gain"), 0, 0.05);
  EXPECT_GT(score(verdict.scores, "ne_sdr"), 35);
  EXPECT_NEAR(score(verdict.scores, "noise_att"), 6, 0.2);
  ASSERT_FALSE(verdict.erle_db.empty());
  EXPECT_NEAR(verdict.erle_db[verdict.erle_db.size() / 2], 20, 1);
}

TEST(EchoJudge, what_a_late_output_had_no_time_to_say_is_no_fault) {
  EchoCase c = double_talk();
  for (double& x : c.noise) x = 0;
  for (std::size_t i = 0; i < c.mic.size(); ++i) c.mic[i] = c.near[i] + c.echo[i];
  // Loud to the last sample: 10 ms that are missing would count.
  const std::size_t last = c.mic.size() - static_cast<std::size_t>(kRate / 50);
  for (std::size_t i = last; i < c.mic.size(); ++i) {
    c.near[i] += 0.5 * std::sin(0.3 * static_cast<double>(i));
    c.mic[i] = c.near[i] + c.echo[i];
  }
  const EchoJudge judge(c);
  EXPECT_GT(score(judge.judge(delayed(c.near, kRate / 100)).scores, "ne_sdr"), 40);
}

TEST(EchoJudge, the_microphone_itself_scores_nothing) {
  const EchoCase c = double_talk();
  const auto verdict = EchoJudge(c).judge(c.mic);
  EXPECT_NEAR(score(verdict.scores, "erle_all"), 0, 1e-6);
  EXPECT_NEAR(score(verdict.scores, "dt_sdr"), score(verdict.scores, "dt_sdr_in"), 1e-6);
  EXPECT_NEAR(score(verdict.scores, "dt_stoi"), score(verdict.scores, "dt_stoi_in"), 1e-6);
  EXPECT_NEAR(score(verdict.scores, "noise_att"), 0, 1e-6);
  for (const auto& [name, value] : verdict.scores) {
    if (name == "t20_s") {
      EXPECT_FALSE(value) << "20 dB cannot have been reached";
    }
  }
}

TEST(EchoJudge, tells_when_20_db_were_reached_before_and_after_a_change) {
  EchoCase c;
  c.has_truth = true;
  c.echo = noise(24, 0.1, 15);
  c.near = c.noise = Signal(c.echo.size(), 0.0);
  c.mic = c.far = c.echo;
  c.change_seconds = 12.0;
  Signal out = c.echo;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / kRate;
    if ((t > 2 && t < 12) || t > 15) out[i] *= 0.01;
  }
  const auto verdict = EchoJudge(c).judge(out);
  EXPECT_NEAR(score(verdict.scores, "t20_s"), 2.5, 0.06);
  EXPECT_NEAR(score(verdict.scores, "t20_change_s"), 3.5, 0.06);
  EXPECT_NEAR(score(verdict.scores, "erle_after_change_3s"), 0, 0.2);
  EXPECT_NEAR(score(verdict.scores, "erle_3_5"), 40, 0.2);
  EXPECT_FALSE(measured(verdict.scores, "dt_sdr"));
  EXPECT_FALSE(measured(verdict.scores, "ne_sdr"));
}

TEST(EchoJudge, silence_and_short_outputs_are_judged_without_numbers_that_are_none) {
  const EchoCase c = double_talk();
  const EchoJudge judge(c);
  for (const Signal& out : {Signal(), Signal(100, 0.5), Signal(c.mic.size(), 0.0)}) {
    for (const auto& [name, value] : judge.judge(out).scores) {
      EXPECT_TRUE(std::isfinite(value.value_or(0))) << name;
    }
  }
}

TEST(EchoJudge, without_truth_the_reference_says_when_echo_can_be) {
  EchoCase c;
  c.talk = Talk::kFar;
  c.mic = speech(10, 0.1, 16);
  c.far = c.mic;
  for (std::size_t i = 5 * kRate; i < c.far.size(); ++i) c.far[i] = 0;
  const EchoJudge judge(c);
  EXPECT_LT(seconds_of(judge.far_only()), 5.3);
  EXPECT_NEAR(score(judge.judge(times(c.mic, 0.1)).scores, "erle_all"), 20, 0.1);
  c.talk = Talk::kDouble;
  EXPECT_EQ(seconds_of(EchoJudge(c).far_only()), 0);
}

}  // namespace
}  // namespace conclave::bench::metrics
