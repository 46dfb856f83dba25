// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/echo_canceller.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/realtime.h"
#include "tests/dsp/aec/echo_room.h"

namespace conclave::dsp {
namespace {

using namespace echo_room;  // NOLINT(google-build-using-namespace)

EchoCancellerConfig config_of(int rate, int mics = 1) {
  EchoCancellerConfig config;
  config.sample_rate = rate;
  config.hop = rate / 100;
  config.microphones = mics;
  return config;
}

/// Runs one microphone; returns the error signal.
Signal cancel(EchoCanceller& aec, const Signal& mic, const Signal& far, int hop) {
  FrameBuffer m(1, hop);
  FrameBuffer f(1, hop);
  FrameBuffer out(1, hop);
  FrameBuffer echo(1, hop);
  Signal error(mic.size());
  const auto h = static_cast<std::size_t>(hop);
  for (std::size_t at = 0; at + h <= mic.size(); at += h) {
    std::copy_n(mic.begin() + static_cast<std::ptrdiff_t>(at), hop, m.data());
    std::copy_n(far.begin() + static_cast<std::ptrdiff_t>(at), hop, f.data());
    {
      realtime::Scope scope;
      aec.process(m, f, out, echo);
    }
    for (std::size_t i = 0; i < h; ++i) {
      EXPECT_NEAR(out[0][i] + echo[0][i], m[0][i], 1e-5);
      error[at + i] = out[0][i];
    }
  }
  return error;
}

class EchoCancellerAt : public testing::TestWithParam<int> {
 protected:
  int rate() const { return GetParam(); }
  int hop() const { return rate() / 100; }
  std::size_t at(double seconds) const {
    return static_cast<std::size_t>(seconds * rate()) / static_cast<std::size_t>(hop()) *
           static_cast<std::size_t>(hop());
  }
};
INSTANTIATE_TEST_SUITE_P(Rates, EchoCancellerAt, testing::Values(16000, 48000));

TEST_P(EchoCancellerAt, converges_within_a_second_and_far_in_a_dry_room) {
  const Signal far = white(at(5), 0.1, 1);
  Signal mic = convolve(far, room_response(rate(), 0.15, 5, -3, 2, 0.18));
  add(mic, white(mic.size(), 0.0002, 3));
  auto aec = EchoCanceller::create(config_of(rate())).value();
  const Signal error = cancel(*aec, mic, far, hop());
  EXPECT_GT(db(power(mic, at(1), at(1.5)) / power(error, at(1), at(1.5))), 20);
  EXPECT_GT(db(power(mic, at(3), at(5)) / power(error, at(3), at(5))), 38);
  const auto m = aec->metrics();
  EXPECT_TRUE(m.far_active);
  EXPECT_GT(m.erle_db[0], 30);
  EXPECT_EQ(m.recoveries, 0);
}

TEST_P(EchoCancellerAt, steady_in_a_reverberant_room) {
  const Signal far = white(at(5), 0.1, 1);
  Signal mic = convolve(far, room_response(rate(), 0.4, 5, -3, 2));
  add(mic, white(mic.size(), 0.0007, 3));
  auto aec = EchoCanceller::create(config_of(rate())).value();
  const Signal error = cancel(*aec, mic, far, hop());
  EXPECT_GT(db(power(mic, at(3), at(5)) / power(error, at(3), at(5))), 25);
}

TEST_P(EchoCancellerAt, double_talk_does_not_diverge) {
  const Signal far = speech(at(10), rate(), 0.1, 1);
  const Signal echo = convolve(far, room_response(rate(), 0.3, 5, -3, 2));
  Signal near = speech(at(10), rate(), 0.1, 40);
  std::fill_n(near.begin(), at(4), 0.0F);
  std::fill(near.begin() + static_cast<std::ptrdiff_t>(at(8)), near.end(), 0.0F);
  Signal mic = echo;
  add(mic, near);
  add(mic, white(mic.size(), 0.0007, 3));
  auto aec = EchoCanceller::create(config_of(rate())).value();
  const Signal error = cancel(*aec, mic, far, hop());
  Signal residual = error;
  for (std::size_t i = 0; i < residual.size(); ++i) residual[i] -= near[i];
  const double before = db(power(echo, at(2), at(4)) / power(residual, at(2), at(4)));
  const double during = db(power(echo, at(4), at(8)) / power(residual, at(4), at(8)));
  const double after = db(power(echo, at(8), at(10)) / power(residual, at(8), at(10)));
  EXPECT_GT(before, 12);
  EXPECT_GT(during, 9);
  EXPECT_GT(after, 12);
  EXPECT_EQ(aec->metrics().recoveries, 0);
}

TEST_P(EchoCancellerAt, recovers_from_a_changed_path) {
  const Signal far = white(at(7), 0.1, 1);
  const Signal before = convolve(far, room_response(rate(), 0.3, 5, -3, 2));
  const Signal after = convolve(far, room_response(rate(), 0.3, 25, -3, 50));
  Signal mic = before;
  std::copy(after.begin() + static_cast<std::ptrdiff_t>(at(3)), after.end(),
            mic.begin() + static_cast<std::ptrdiff_t>(at(3)));
  auto aec = EchoCanceller::create(config_of(rate())).value();
  const Signal error = cancel(*aec, mic, far, hop());
  EXPECT_GT(db(power(mic, at(2), at(3)) / power(error, at(2), at(3))), 25);
  EXPECT_GT(db(power(mic, at(4.5), at(5)) / power(error, at(4.5), at(5))), 15);
  EXPECT_GT(db(power(mic, at(6), at(7)) / power(error, at(6), at(7))), 24);
  EXPECT_GE(aec->metrics().path_changes, 1);
}

TEST_P(EchoCancellerAt, invalid_input_is_survived) {
  const Signal far = white(at(4), 0.1, 1);
  Signal mic = convolve(far, room_response(rate(), 0.15, 5, -3, 2));
  Signal bad_far = far;
  const float values[] = {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(), -3e38F, 1e20F};
  Signal bad_mic = mic;
  for (std::size_t i = 0; i < at(0.1); ++i) {
    bad_mic[at(1.5) + i] = values[i % 4];
    bad_far[at(1.7) + i] = values[(i / 3) % 4];
  }
  auto aec = EchoCanceller::create(config_of(rate())).value();
  FrameBuffer m(1, hop());
  FrameBuffer f(1, hop());
  FrameBuffer out(1, hop());
  FrameBuffer echo(1, hop());
  double before = 0;
  double after = 0;
  for (std::size_t n = 0; n + static_cast<std::size_t>(hop()) <= mic.size();
       n += static_cast<std::size_t>(hop())) {
    std::copy_n(bad_mic.begin() + static_cast<std::ptrdiff_t>(n), hop(), m.data());
    std::copy_n(bad_far.begin() + static_cast<std::ptrdiff_t>(n), hop(), f.data());
    aec->process(m, f, out, echo);
    for (std::size_t i = 0; i < static_cast<std::size_t>(hop()); ++i) {
      ASSERT_TRUE(std::isfinite(out[0][i]));
      ASSERT_TRUE(std::isfinite(echo[0][i]));
      ASSERT_LT(std::abs(out[0][i]), 20);
      if (n >= at(3)) {
        before += m[0][i] * m[0][i];
        after += out[0][i] * out[0][i];
      }
    }
  }
  EXPECT_GT(db(before / after), 20);
}

TEST_P(EchoCancellerAt, many_microphones_with_different_gains) {
  constexpr int kMics = 10;
  const Signal far = speech(at(6), rate(), 0.1, 1);
  const Signal echo = convolve(far, room_response(rate(), 0.2, 5, -3, 2));
  const Signal noise = white(echo.size(), 0.0005, 9);
  auto aec = EchoCanceller::create(config_of(rate(), kMics)).value();
  FrameBuffer m(kMics, hop());
  FrameBuffer f(1, hop());
  FrameBuffer e(kMics, hop());
  for (std::size_t n = 0; n + static_cast<std::size_t>(hop()) <= far.size();
       n += static_cast<std::size_t>(hop())) {
    for (std::size_t i = 0; i < static_cast<std::size_t>(hop()); ++i) {
      f[0][i] = far[n + i];
      for (int c = 0; c < kMics; ++c) {
        const float gain = (c % 2 == 0 ? 1.0F : -1.0F) / static_cast<float>(1 + c / 3);
        m[c][i] = gain * echo[n + i] + noise[n + i];
      }
    }
    realtime::Scope scope;
    aec->process(m, f, m, e);  // in place
  }
  const auto metrics = aec->metrics();
  EXPECT_EQ(metrics.microphones, kMics);
  EXPECT_EQ(metrics.recoveries, 0);
  for (int c = 0; c < kMics; ++c) EXPECT_GT(metrics.erle_db[static_cast<std::size_t>(c)], 12) << c;
}

TEST_P(EchoCancellerAt, a_later_reference_finds_the_filter_moved_along) {
  const Signal far = white(at(5), 0.1, 1);
  Signal mic = convolve(far, room_response(rate(), 0.15, 60, -3, 2, 0.22));
  add(mic, white(mic.size(), 0.0002, 3));
  auto aec = EchoCanceller::create(config_of(rate())).value();
  const int shift = aec->max_shift() - 7;
  EXPECT_GE(shift, rate() / 100);
  const std::size_t turn = at(3);
  const auto part = [](const Signal& x, std::size_t from, std::size_t to) {
    return Signal(x.begin() + static_cast<std::ptrdiff_t>(from),
                  x.begin() + static_cast<std::ptrdiff_t>(to));
  };
  const Signal before = cancel(*aec, part(mic, 0, turn), part(far, 0, turn), hop());
  const double reached = db(power(mic, at(2.5), turn) / power(before, at(2.5), turn));
  EXPECT_GT(reached, 30);
  aec->set_params({true, false});  // frozen: nothing is learned anew
  aec->delay_reference(shift);
  const auto later = static_cast<std::size_t>(shift);
  const Signal after =
      cancel(*aec, part(mic, turn, far.size()), part(far, turn - later, far.size() - later), hop());
  const Signal rest = part(mic, turn, far.size());
  EXPECT_GT(db(power(rest, 0, at(0.5)) / power(after, 0, at(0.5))), reached - 6);
  EXPECT_GT(db(power(rest, at(0.5)) / power(after, at(0.5))), reached - 3);
}

TEST(EchoCanceller, a_shorter_tail_above_8_khz_costs_the_voice_little) {
  constexpr int kRate = 48000;
  Signal far = white(5 * kRate, 0.1, 1);
  for (int pole = 0; pole < 6; ++pole) {
    float y = 0;
    for (float& x : far) x = y += 0.25F * (x - y);  // -3 dB at 2.2 kHz, six times
  }
  const Signal mic = convolve(far, room_response(kRate, 0.15, 60, -3, 2, 0.3));
  double erle[2] = {};
  for (const float high_tail : {200.0F, 80.0F}) {
    EchoCancellerConfig config = config_of(kRate);
    config.high_tail_ms = high_tail;
    auto aec = EchoCanceller::create(config).value();
    const Signal error = cancel(*aec, mic, far, kRate / 100);
    erle[high_tail < 100 ? 1 : 0] =
        db(power(mic, 3 * kRate, 5 * kRate) / power(error, 3 * kRate, 5 * kRate));
  }
  EXPECT_GT(erle[0], 20);
  EXPECT_GT(erle[1], erle[0] - 2);
}

TEST(EchoCanceller, two_references) {
  constexpr int kRate = 16000;
  constexpr int kHop = 160;
  EchoCancellerConfig config = config_of(kRate);
  config.references = 2;
  const Signal a = white(5 * kRate, 0.1, 1);
  const Signal b = white(5 * kRate, 0.1, 2);
  Signal mic = convolve(a, room_response(kRate, 0.15, 5, -3, 3));
  add(mic, convolve(b, room_response(kRate, 0.15, 9, -3, 4)));
  auto aec = EchoCanceller::create(config).value();
  FrameBuffer m(1, kHop);
  FrameBuffer f(2, kHop);
  FrameBuffer out(1, kHop);
  FrameBuffer echo(1, kHop);
  for (std::size_t n = 0; n + kHop <= mic.size(); n += kHop) {
    std::copy_n(mic.begin() + static_cast<std::ptrdiff_t>(n), kHop, m.data());
    std::copy_n(a.begin() + static_cast<std::ptrdiff_t>(n), kHop, f[0].data());
    std::copy_n(b.begin() + static_cast<std::ptrdiff_t>(n), kHop, f[1].data());
    aec->process(m, f, out, echo);
  }
  EXPECT_GT(aec->metrics().erle_db[0], 20);
}

TEST(EchoCanceller, a_tone_does_not_spoil_the_filter) {
  constexpr int kRate = 16000;
  Signal far = white(10 * kRate, 0.1, 1);
  for (std::size_t i = 4 * kRate; i < 7 * kRate; ++i) {
    far[i] = static_cast<float>(
        0.2 * std::sin(2 * std::numbers::pi * 1000.3 / kRate * static_cast<double>(i)));
  }
  Signal mic = convolve(far, room_response(kRate, 0.15, 5, -3, 2));
  add(mic, white(mic.size(), 0.0002, 3));
  auto aec = EchoCanceller::create(config_of(kRate)).value();
  const Signal error = cancel(*aec, mic, far, 160);
  EXPECT_GT(db(power(mic, 6 * kRate, 7 * kRate) / power(error, 6 * kRate, 7 * kRate)), 20);
  const std::size_t after = 7 * kRate + kRate / 2;
  EXPECT_GT(db(power(mic, after, after + kRate) / power(error, after, after + kRate)), 25);
}

TEST(EchoCanceller, off_passes_the_microphone_and_runs_are_identical) {
  constexpr int kRate = 16000;
  const Signal far = speech(3 * kRate, kRate, 0.1, 1);
  const Signal mic = convolve(far, room_response(kRate, 0.2, 5, -3, 2));
  auto off = EchoCanceller::create(config_of(kRate)).value();
  off->set_params({false, true});
  const Signal passed = cancel(*off, mic, far, 160);
  for (std::size_t i = 160; i < mic.size(); ++i) ASSERT_EQ(passed[i], mic[i]);
  auto a = EchoCanceller::create(config_of(kRate)).value();
  const Signal first = cancel(*a, mic, far, 160);
  a->reset();
  EXPECT_EQ(first, cancel(*a, mic, far, 160));
}

TEST(EchoCanceller, refuses_nonsense) {
  EXPECT_EQ(EchoCanceller::create(config_of(48000)).value()->partitions(), 20);
  EchoCancellerConfig config;
  config.microphones = 17;
  EXPECT_FALSE(EchoCanceller::create(config).ok());
  config = {};
  config.tail_ms = 600;
  EXPECT_FALSE(EchoCanceller::create(config).ok());
  config = {};
  config.tail_ms = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(EchoCanceller::create(config).ok());
  config = {};
  config.hop = 0;
  EXPECT_FALSE(EchoCanceller::create(config).ok());
  config = {};
  config.references = 0;
  EXPECT_FALSE(EchoCanceller::create(config).ok());
}

}  // namespace
}  // namespace conclave::dsp
