// SPDX-License-Identifier: Apache-2.0
// Echo control when its inputs are not what they should be: never louder than the microphone, never
// a value that is not a number, and well again within a second.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "base/realtime.h"
#include "engine/engine.h"
#include "tests/engine/synthetic_capture.h"

namespace conclave::engine {
namespace {

using test::power_db;
using Signal = std::vector<float>;

constexpr int kRate = 16000;
constexpr int kHop = 160;

std::size_t at(double seconds) { return static_cast<std::size_t>(seconds * kRate); }

class EchoBadInput : public testing::Test {
 protected:
  /// Far end for `seconds`, its echo in the microphone, quiet noise.
  void make(double seconds) {
    far = test::babble(at(seconds), kRate, 0.1F, 1);
    mic = echo_of(far);
  }
  static Signal echo_of(const Signal& far) {
    FrameBuffer capture(1, static_cast<int>(far.size()));
    test::add_echo(far, 320, 0.5F, kRate, capture);
    test::add_noise(0.0003F, 5, capture);
    return {capture[0].begin(), capture[0].end()};
  }
  void add_near(double from, double to, float rms = 0.05F) {
    near = test::babble(mic.size(), kRate, rms, 2);
    std::fill_n(near.begin(), at(from), 0.0F);
    std::fill(near.begin() + static_cast<std::ptrdiff_t>(at(to)), near.end(), 0.0F);
    for (std::size_t n = 0; n < mic.size(); ++n) mic[n] += near[n];
  }
  /// What is sent, its latency taken off. The guard aborts on an allocation.
  void run() {
    EngineConfig config{.sample_rate = kRate,
                        .geometry = test::ring(1),
                        .chain = Chain::kEcho,
                        .reference = Reference::kFarEnd};
    config.params.low_cut_hz = low_cut_hz;
    auto made = Engine::create(config);
    ASSERT_TRUE(made) << made.error().message;
    engine = std::move(*made);
    realtime::flush_denormals();
    FrameBuffer in(1, kHop), reference(1, kHop), playback(1, kHop), send(1, kHop);
    sent.clear();
    for (std::size_t n = 0; n + kHop <= mic.size(); n += kHop) {
      std::copy_n(mic.begin() + static_cast<std::ptrdiff_t>(n), kHop, in[0].begin());
      std::copy_n(far.begin() + static_cast<std::ptrdiff_t>(n), kHop, reference[0].begin());
      {
        const realtime::Scope scope;
        engine->process(in, reference, {}, playback, send);
      }
      // The first block out is the latency.
      for (int i = 0; n > 0 && i < kHop; ++i) sent.push_back(send[0][static_cast<std::size_t>(i)]);
    }
    ASSERT_EQ(engine->latency_frames(), kHop);
    for (const float x : sent) ASSERT_TRUE(std::isfinite(x));
    never_louder();
  }
  /// In windows of 100 ms, with 1 dB for comfort noise. The microphone's window is wider by the
  /// transform's reach.
  void never_louder() const {
    constexpr std::size_t kWindow = kRate / 10;
    constexpr std::size_t kReach = 3 * kHop;
    for (std::size_t n = kReach; n + kWindow + kReach <= sent.size(); n += kWindow) {
      constexpr std::size_t kWide = kWindow + 2 * kReach;
      const double in = test::power(clean(mic, n - kReach, kWide)) * kWide;
      const double out = test::power(std::span(sent).subspan(n, kWindow)) * kWindow;
      ASSERT_LT(out, 1.26 * in + 1e-3) << static_cast<double>(n) / kRate << " s";
    }
  }
  // What is no sample counts as silence.
  static Signal clean(const Signal& x, std::size_t from, std::size_t count) {
    Signal part(x.begin() + static_cast<std::ptrdiff_t>(from),
                x.begin() + static_cast<std::ptrdiff_t>(from + count));
    for (float& v : part) v = std::abs(v) < 16.0F ? v : 0.0F;
    return part;
  }
  double erle(double from, double to) const { return level(mic, from, to) - level(sent, from, to); }
  static double level(const Signal& x, double from, double to) {
    const std::size_t end = std::min(at(to), x.size());
    return power_db(clean(x, at(from), end - at(from)));
  }
  /// How faithful the near talker comes out, in dB of what is not he.
  double fidelity(double from, double to) const {
    Signal wanted, difference;
    for (std::size_t n = at(from); n < std::min(at(to), sent.size()); ++n) {
      wanted.push_back(mic[n]);
      difference.push_back(sent[n] - mic[n]);
    }
    return power_db(wanted) - power_db(difference);
  }

  Signal far, mic, near, sent;
  float low_cut_hz = 0;  // what is not sent of a talker's lowest tones is no fault of echo control
  std::unique_ptr<Engine> engine;
};

TEST_F(EchoBadInput, no_reference_leaves_the_microphone_exactly_as_it_is) {
  make(4);
  add_near(0, 4);
  std::ranges::fill(far, 0.0F);
  run();
  EXPECT_GT(fidelity(0, 3.9), 80.0);
}

TEST_F(EchoBadInput, rumble_and_an_offset_are_not_sent) {
  make(5);
  std::ranges::fill(far, 0.0F);
  for (std::size_t n = 0; n < mic.size(); ++n) {
    mic[n] = 0.1F + 0.1F * std::sin(2 * 3.14159265F * 40 * static_cast<float>(n) / kRate);
  }
  low_cut_hz = 80;
  run();
  EXPECT_GT(erle(1, 4.9), 20.0);
}

TEST_F(EchoBadInput, a_constant_reference_leaves_the_near_talker) {
  make(5);
  mic.assign(mic.size(), 0.0F);
  add_near(0, 5);
  std::ranges::fill(far, 0.5F);
  run();
  EXPECT_GT(fidelity(2, 4.9), 15.0);
}

TEST_F(EchoBadInput, an_inverted_reference_is_as_good_as_any) {
  make(6);
  for (float& x : far) x = -x;
  run();
  EXPECT_GT(erle(3, 5.9), 25.0);
}

TEST_F(EchoBadInput, a_clipped_reference) {
  make(6);
  for (float& x : far) x = std::clamp(x, -0.08F, 0.08F);
  run();
  EXPECT_GT(erle(3, 5.9), 15.0);
}

TEST_F(EchoBadInput, a_reference_that_comes_a_second_late_takes_nothing_from_a_later_talker) {
  make(9);
  std::fill(far.begin() + static_cast<std::ptrdiff_t>(at(5)), far.end(), 0.0F);
  mic = echo_of(far);
  Signal late(far.size(), 0.0F);
  std::copy(far.begin(), far.end() - static_cast<std::ptrdiff_t>(at(1)),
            late.begin() + static_cast<std::ptrdiff_t>(at(1)));
  far = late;
  add_near(7.2, 9);
  run();
  EXPECT_GT(fidelity(7.6, 8.9), 30.0);
}

TEST_F(EchoBadInput, a_microphone_with_an_offset) {
  make(6);
  Signal ac = mic;
  for (float& x : mic) x += 0.1F;
  run();
  // The offset itself is no echo, and stays or goes; what varies has to go.
  double mean = 0;
  for (std::size_t n = at(3); n < at(5.9); ++n) mean += sent[n];
  mean /= static_cast<double>(at(5.9) - at(3));
  for (float& x : sent) x -= static_cast<float>(mean);
  EXPECT_GT(level(ac, 3, 5.9) - level(sent, 3, 5.9), 20.0);
}

TEST_F(EchoBadInput, dropouts_of_the_microphone) {
  make(7);
  for (std::size_t n = at(2); n < at(4); n += at(0.4)) {
    std::fill_n(mic.begin() + static_cast<std::ptrdiff_t>(n), at(0.05), 0.0F);
  }
  run();
  EXPECT_GT(erle(5, 6.9), 25.0);
}

TEST_F(EchoBadInput, values_that_are_no_samples) {
  make(7);
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                       std::numeric_limits<float>::infinity(), -1e30F, 1e20F};
  for (std::size_t i = 0; i < at(0.1); ++i) {
    mic[at(3) + i] = bad[i % 4];
    far[at(3.3) + i] = bad[(i / 3) % 4];
  }
  run();
  EXPECT_GT(erle(4.4, 6.9), 25.0);
}

TEST_F(EchoBadInput, a_saturated_microphone) {
  make(8);
  const Signal sound = mic;
  for (std::size_t n = at(3); n < at(5); ++n) mic[n] = std::clamp(3 * mic[n], -0.06F, 0.06F);
  run();
  EXPECT_GT(erle(3.5, 5), 4.0);
  EXPECT_GT(erle(6, 7.9), 25.0);
}

TEST_F(EchoBadInput, far_and_near_swapped_do_no_harm) {
  make(5);
  std::swap(far, mic);
  run();
}

TEST_F(EchoBadInput, a_reference_that_stops_in_mid_word_frees_the_near_talker) {
  make(8);
  std::fill(far.begin() + static_cast<std::ptrdiff_t>(at(4.03)), far.end(), 0.0F);
  mic = echo_of(far);
  add_near(4.3, 8);
  run();
  EXPECT_GT(erle(3, 4), 25.0);
  EXPECT_GT(fidelity(5.1, 7.9), 36.0);
}

TEST_F(EchoBadInput, the_reference_alone_stops_and_comes_back) {
  make(9);
  std::fill(far.begin() + static_cast<std::ptrdiff_t>(at(4)),
            far.begin() + static_cast<std::ptrdiff_t>(at(5)), 0.0F);
  run();
  EXPECT_GT(erle(6, 8.9), 25.0);
}

TEST_F(EchoBadInput, a_jump_of_the_delay_is_covered_and_found) {
  make(11);
  const Signal before = mic;
  Signal late(far.size(), 0.0F);
  std::copy(far.begin(), far.end() - static_cast<std::ptrdiff_t>(at(0.08)),
            late.begin() + static_cast<std::ptrdiff_t>(at(0.08)));
  const Signal after = echo_of(late);
  for (std::size_t n = at(5); n < mic.size(); ++n) mic[n] = after[n];
  run();
  EXPECT_GT(erle(3, 5), 25.0);
  EXPECT_GT(erle(6, 7), 20.0);
  EXPECT_GT(erle(7, 10.9), 25.0);
  EXPECT_EQ(engine->metrics().aec_delay_jumps, 1);
}

}  // namespace
}  // namespace conclave::engine
