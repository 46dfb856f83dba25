// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/variable_delay.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "base/realtime.h"
#include "tests/dsp/aec/echo_room.h"

namespace conclave::dsp {
namespace {

using namespace echo_room;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kHop = 160;

Signal sine(std::size_t count, double cycles) {
  Signal x(count);
  for (std::size_t n = 0; n < count; ++n) {
    x[n] =
        static_cast<float>(0.5 * std::sin(2 * std::numbers::pi * cycles * static_cast<double>(n)));
  }
  return x;
}

void run(VariableDelay& line, const Signal& in, Signal& out, std::size_t from, std::size_t to) {
  for (std::size_t n = from; n < to; n += kHop) {
    realtime::Scope scope;
    line.process(std::span(in).subspan(n, kHop), std::span(out).subspan(n, kHop));
  }
}

TEST(VariableDelay, whole_samples_are_exact_and_changes_fade) {
  auto line = VariableDelay::create(1000, 160).value();
  const Signal in = white(3200, 0.1, 1);
  Signal out(in.size());
  line.set_delay(250, true);
  run(line, in, out, 0, 800);
  line.set_delay(0, true);
  run(line, in, out, 800, 1600);
  line.set_delay(100, false);
  run(line, in, out, 1600, 3200);
  for (std::size_t i = 410; i < 800; ++i) EXPECT_EQ(out[i], in[i - 250]);
  for (std::size_t i = 960; i < 1600; ++i) EXPECT_EQ(out[i], in[i]);
  for (std::size_t i = 1600; i < 3200; ++i) EXPECT_EQ(out[i], in[i - 100]);
  line.set_delay(5000, true);
  EXPECT_EQ(line.delay(), 1000);
}

TEST(VariableDelay, moves_on_by_a_fraction_with_every_sample) {
  auto line = VariableDelay::create(1000, 160).value();
  constexpr double kCycles = 0.2;
  constexpr double kPpm = 100;
  const Signal in = sine(160000, kCycles);
  Signal out(in.size());
  line.set_delay(400, false);
  line.set_rate(kPpm);
  run(line, in, out, 0, in.size());
  // Ten seconds at 16 kHz: 16 samples less.
  EXPECT_NEAR(line.delay(), 384, 0.1);
  double wanted = 0;
  double error = 0;
  for (std::size_t n = 80000; n < in.size(); ++n) {
    const double t = static_cast<double>(n) * (1 + kPpm * 1e-6) - 400;
    const double x = 0.5 * std::sin(2 * std::numbers::pi * kCycles * t);
    wanted += x * x;
    error += (out[n] - x) * (out[n] - x);
  }
  // The first block ramps to the rate: a constant lag of a hundredth of a sample.
  EXPECT_GT(db(wanted / error), 35);
}

TEST(VariableDelay, stops_at_the_ends_of_its_range) {
  auto line = VariableDelay::create(1000, 160).value();
  const Signal in = white(64000, 0.1, 1);
  Signal out(in.size());
  line.set_rate(100);
  run(line, in, out, 0, 16000);
  EXPECT_EQ(line.delay(), 0) << "too short for a fraction";
  line.set_delay(60, false);
  line.set_rate(1000);
  run(line, in, out, 16000, 64000);
  EXPECT_NEAR(line.delay(), VariableDelay::kLeastMoving, 1);
  line.reset();
  EXPECT_EQ(line.delay(), 0);
}

TEST(VariableDelay, refuses_nonsense) {
  EXPECT_FALSE(VariableDelay::create(-1, 160).ok());
  EXPECT_FALSE(VariableDelay::create(100, 0).ok());
}

}  // namespace
}  // namespace conclave::dsp
