// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <random>

#include "base/realtime.h"
#include "media/jitter/delay_estimator.h"
#include "media/jitter/jitter_buffer.h"
#include "media/jitter/time_scale.h"
#include "tests/media/signals.h"

namespace conclave::media {
namespace {

constexpr std::int64_t kMs = 1'000'000;

TEST(DelayEstimator, no_jitter_means_next_to_no_delay) {
  DelayEstimator e;
  for (int i = 0; i < 1000; ++i) e.update(480LL * i, 50 * kMs + i * 10 * kMs);
  EXPECT_LE(e.target_ms(), 2);
}
TEST(DelayEstimator, covers_the_jitter_there_is) {
  DelayEstimator e;
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    e.update(480LL * i, i * 10 * kMs + static_cast<std::int64_t>(random() % 30'000'000));
  }
  EXPECT_GE(e.target_ms(), 28);
  EXPECT_LE(e.target_ms(), 32);
}
TEST(DelayEstimator, drift_is_measured_and_not_taken_for_jitter) {
  DelayEstimator e;
  // The sender's 10 ms last 9.999 ms of ours: +100 ppm.
  for (int i = 0; i < 6000; ++i) e.update(480LL * i, i * 9'999'000LL);
  EXPECT_NEAR(e.drift_ppm(), 100, 2);
  EXPECT_LE(e.target_ms(), 4);
}

TEST(TimeScale, finds_the_pitch_and_keeps_the_tone) {
  for (const int rate : {48000, 16000}) {
    SCOPED_TRACE(rate);
    const TimeScale scale{rate};
    auto tone = sine(rate, 0.1, 200, 0.3F);  // 5 ms
    const auto match = scale.find_period(tone, scale.longest());
    EXPECT_GT(match.similarity, 0.999);
    EXPECT_NEAR(std::fmod(match.lag + 1.0, rate / 200.0), 1, 1);
    const int length = static_cast<int>(tone.size()) / 2;
    auto shorter = tone;
    ASSERT_EQ(scale.remove(shorter, length, match.lag), length - match.lag);
    EXPECT_GT(tone_share_db(std::span(shorter).first(static_cast<std::size_t>(
                                (length - match.lag) / (rate / 200) * (rate / 200))),
                            rate, 200),
              -0.01);
    const int history = scale.longest();
    const auto repeat =
        scale.find_repeat(std::span(tone).first(static_cast<std::size_t>(history)),
                          std::span(tone).subspan(static_cast<std::size_t>(history)));
    EXPECT_GT(repeat.similarity, 0.999);
    auto longer = tone;
    const int stretched = scale.insert(longer, history, length, repeat.lag);
    ASSERT_EQ(stretched, length + repeat.lag);
    EXPECT_GT(tone_share_db(std::span(longer).first(static_cast<std::size_t>(
                                (history + stretched) / (rate / 200) * (rate / 200))),
                            rate, 200),
              -0.01);
    // A lag shorter than the overlap, and what does not fit.
    auto any = tone;
    EXPECT_EQ(scale.insert(any, history, length, scale.shortest()), length + scale.shortest());
    EXPECT_EQ(scale.remove(any, scale.overlap(), scale.shortest()), scale.overlap());
    const int rest = static_cast<int>(any.size()) - history;
    EXPECT_EQ(scale.insert(any, history, rest, scale.shortest()), rest);
    EXPECT_EQ(scale.insert(any, history, length, history + 1), length);
  }
}

TEST(TimeScale, insertion_repeats_and_loses_nothing) {
  const TimeScale scale{48000};
  std::vector<float> ramp(2200);
  for (std::size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<float>(i);
  auto out = ramp;
  const int history = 720, lag = 400;
  ASSERT_EQ(scale.insert(out, history, 1000, lag), 1400);
  for (std::size_t i = 0; i < 720; ++i) ASSERT_EQ(out[i], ramp[i]);
  for (std::size_t i = 720 + 240; i < 720 + 400; ++i) ASSERT_EQ(out[i], ramp[i - 400]);
  for (std::size_t i = 720; i < 1720; ++i) ASSERT_EQ(out[i + 400], ramp[i]);
}

/// A sender, a network and a receiver in simulated time.
struct Simulation {
  int packet_ms = 10;
  int rate = 48000;
  double seconds = 20;
  double sender_ppm = 0, puller_ppm = 0;
  JitterConfig config;
  std::function<double(int)> delay_ms = [](int) { return 20.0; };  // of packet i; negative: lost
  std::function<std::vector<float>(int rate, double seconds)> source = vowel;

  struct Result {
    JitterMetrics metrics;
    double worst_delay_ms = 0;  // over the last half
    double mean_delay_ms = 0;   // over the last half
    int silent_pulls = 0;       // after the first second
    std::vector<float> sound;
  };

  Result run() {
    SpeechEncoderConfig codec;
    codec.sample_rate = rate;
    codec.complexity = 0;
    auto encoder = std::move(*SpeechEncoder::create(codec));
    auto decoder = std::move(*SpeechDecoder::create(rate));
    auto buffer = std::move(*JitterBuffer::create(config, *decoder));
    const auto in = source(rate, 2);
    const auto samples = static_cast<std::size_t>(rate / 1000 * packet_ms);
    // Encoded beforehand, delivered in order of arrival.
    struct Packet {
      RtpHeader header;
      std::array<std::uint8_t, 400> data;
      std::size_t size;
    };
    std::multimap<std::int64_t, Packet> network;
    std::vector<Packet> encoded(in.size() / samples);
    for (std::size_t i = 0; i < encoded.size(); ++i) {
      encoded[i].size =
          encoder->encode(std::span(in).subspan(i * samples, samples), encoded[i].data);
    }
    for (int i = 0; i * packet_ms < seconds * 1000; ++i) {
      // The second of them again and again: by then the codec has settled.
      const auto n = static_cast<std::size_t>(i);
      const auto half = std::max<std::size_t>(encoded.size() / 2, 1);
      Packet p = encoded[n < half ? n : half + n % half];
      p.header = {111, false, static_cast<std::uint16_t>(60000 + i),
                  static_cast<std::uint32_t>(4'294'000'000U + 48U * packet_ms * i), 1};
      const double delay = delay_ms(i);
      if (delay < 0) continue;
      const double sent = i * packet_ms * (1 - sender_ppm * 1e-6);
      network.emplace(static_cast<std::int64_t>((sent + delay) * kMs), p);
    }
    Result result;
    std::vector<float> frame(static_cast<std::size_t>(rate) / 100);
    auto next = network.begin();
    const int pulls = static_cast<int>(seconds * 100) - 10;
    int counted = 0;
    for (int i = 0; i < pulls; ++i) {
      const auto now = static_cast<std::int64_t>((5 + i * 10 * (1 - puller_ppm * 1e-6)) * kMs);
      const realtime::Scope no_allocation;
      for (; next != network.end() && next->first <= now; ++next) {
        buffer->insert(next->second.header, std::span(next->second.data).first(next->second.size),
                       next->first);
      }
      const auto pulled = buffer->pull(frame, now);
      const realtime::Exempt bookkeeping;
      if (i > 100 && pulled == JitterBuffer::Pulled::kSilence) ++result.silent_pulls;
      if (i > pulls / 2) {
        const auto m = buffer->metrics();
        result.worst_delay_ms = std::max(result.worst_delay_ms, m.delay_ms);
        result.mean_delay_ms += m.delay_ms;
        ++counted;
      }
      result.sound.insert(result.sound.end(), frame.begin(), frame.end());
    }
    result.mean_delay_ms /= counted;
    result.metrics = buffer->metrics();
    return result;
  }
};

class JitterBufferAtRates : public testing::TestWithParam<std::pair<int, int>> {};
INSTANTIATE_TEST_SUITE_P(All, JitterBufferAtRates,
                         testing::Values(std::pair{48000, 10}, std::pair{48000, 20},
                                         std::pair{16000, 10}, std::pair{16000, 20}));

TEST_P(JitterBufferAtRates, a_good_network_costs_less_than_10_ms_beyond_the_packet) {
  Simulation s;
  std::tie(s.rate, s.packet_ms) = GetParam();
  const auto r = s.run();
  EXPECT_EQ(r.metrics.concealed_ms, 0u);
  EXPECT_EQ(r.silent_pulls, 0);
  EXPECT_LE(r.worst_delay_ms, 10.1);
  EXPECT_EQ(r.metrics.late + r.metrics.duplicate + r.metrics.malformed, 0u);
}

TEST_P(JitterBufferAtRates, jitter_is_covered) {
  Simulation s;
  std::tie(s.rate, s.packet_ms) = GetParam();
  std::mt19937 random(7);
  s.delay_ms = [&](int) { return 20.0 + random() % 40; };
  const auto r = s.run();
  // 1 % of the packets may be late by design; learning it takes a moment.
  EXPECT_LE(r.metrics.concealed_ms, 600u);
  EXPECT_GE(r.mean_delay_ms, 30);
  EXPECT_LE(r.worst_delay_ms, 70);
  EXPECT_EQ(r.silent_pulls, 0);
}

TEST_P(JitterBufferAtRates, losses_are_concealed_and_add_no_delay) {
  Simulation s;
  std::tie(s.rate, s.packet_ms) = GetParam();
  std::mt19937 random(8);
  int lost = 0;
  s.delay_ms = [&](int i) {
    const bool gone = i > 10 && random() % 10 == 0;
    lost += gone;
    return gone ? -1.0 : 20.0;
  };
  const auto r = s.run();
  EXPECT_NEAR(static_cast<double>(r.metrics.concealed_ms), lost * s.packet_ms,
              lost * s.packet_ms * 0.1);
  EXPECT_LE(r.worst_delay_ms, 20);
  EXPECT_EQ(r.silent_pulls, 0);
}

TEST_P(JitterBufferAtRates, clocks_may_differ_without_end) {
  for (const double ppm : {200.0, -200.0}) {
    SCOPED_TRACE(ppm);
    Simulation s;
    std::tie(s.rate, s.packet_ms) = GetParam();
    s.seconds = 120;
    s.sender_ppm = ppm;
    s.puller_ppm = -ppm / 2;
    const auto r = s.run();
    // 300 ppm of 120 s are 36 ms; a hop, the target and a remnant are always there.
    EXPECT_LE(r.worst_delay_ms, 20);
    EXPECT_LE(r.metrics.concealed_ms, 20u);
    EXPECT_EQ(r.silent_pulls, 0);
    const double net =
        static_cast<double>(r.metrics.accelerated_ms) - static_cast<double>(r.metrics.expanded_ms);
    EXPECT_NEAR(net, ppm > 0 ? 36 : -36, 18);
    EXPECT_LE(r.metrics.accelerated_ms + r.metrics.expanded_ms, 100u) << "calm, not to and fro";
    EXPECT_NEAR(r.metrics.drift_ppm, ppm, 10);
  }
}

TEST(JitterBuffer, a_burst_of_delay_is_waited_for_and_forgotten) {
  Simulation s;
  s.seconds = 60;
  // At 10 s everything is held up for 150 ms once, then comes at once.
  s.delay_ms = [](int i) { return i >= 1000 && i < 1015 ? 20.0 + (1015 - i) * 10 : 20.0; };
  const auto r = s.run();
  EXPECT_EQ(r.metrics.late, 0u) << "what was held up is played";
  EXPECT_NEAR(static_cast<double>(r.metrics.concealed_ms), 150, 20);
  EXPECT_LE(r.worst_delay_ms, 15) << "half a minute later the delay is gone";
}

TEST(JitterBuffer, reordering_and_duplicates) {
  Simulation s;
  s.delay_ms = [](int i) { return i % 7 == 3 ? 34.0 : 20.0; };
  const auto r = s.run();
  EXPECT_GT(r.metrics.reordered, 200u);
  EXPECT_LE(r.metrics.concealed_ms, 50u);
}

TEST(JitterBuffer, the_voice_stays_whole_while_the_delay_changes) {
  Simulation s;
  s.seconds = 30;
  s.source = [](int rate, double seconds) { return sine(rate, seconds, 500, 0.3F); };
  s.sender_ppm = 300;
  const auto r = s.run();
  EXPECT_GT(r.metrics.accelerated_ms, 4u);
  const auto steady = std::span(r.sound).subspan(48000 * 2);
  // No drop-outs and no clicks: each 10 ms has its power, and little is beside the tone.
  for (std::size_t at = 0; at + 480 <= steady.size(); at += 480) {
    ASSERT_NEAR(rms(steady.subspan(at, 480)), 0.3 / std::sqrt(2), 0.03) << at / 480;
    ASSERT_GT(tone_share_db(steady.subspan(at, 480), 48000, 500), -0.5);
  }
}

class FrameCountingDecoder final : public PacketDecoder {
 public:
  int duration48(std::span<const std::uint8_t> p) const noexcept override {
    return p.size() == 1 ? 480 : 0;
  }
  int decode(std::span<const std::uint8_t> p, std::span<float> pcm) noexcept override {
    std::fill(pcm.begin(), pcm.end(), static_cast<float>(p[0]));
    return static_cast<int>(pcm.size());
  }
  int conceal(std::span<float> pcm) noexcept override {
    std::fill(pcm.begin(), pcm.end(), -1.0F);
    return static_cast<int>(pcm.size());
  }
  void reset() noexcept override {}
  int sample_rate() const noexcept override { return 48000; }
};

TEST(JitterBuffer, a_sender_that_stops_ends_in_silence_and_may_come_back) {
  FrameCountingDecoder decoder;
  auto buffer = std::move(*JitterBuffer::create({}, decoder));
  std::array<float, 480> out{};
  std::int64_t now = 0;
  const auto run = [&](int from, int count, bool send) {
    int silent = 0;
    for (int i = from; i < from + count; ++i, now += 10 * kMs) {
      const std::array<std::uint8_t, 1> payload{static_cast<std::uint8_t>(1 + i % 100)};
      if (send) {
        buffer->insert(
            {111, false, static_cast<std::uint16_t>(i), static_cast<std::uint32_t>(480 * i), 1},
            payload, now);
      }
      silent += buffer->pull(out, now) == JitterBuffer::Pulled::kSilence;
    }
    return silent;
  };
  EXPECT_LE(run(0, 100, true), 3);
  const int silent = run(100, 200, false);
  EXPECT_GE(silent, 140);
  EXPECT_LE(buffer->metrics().concealed_ms, 520u);
  // Ten minutes later, after a wrap of nothing and a jump of the timestamp: heard within 100 ms.
  now += 600'000 * kMs;
  EXPECT_LE(run(60300, 100, true), 10);
  EXPECT_GT(out[0], 0);
}

TEST(JitterBuffer, silence_suppressed_by_the_sender_is_not_loss) {
  FrameCountingDecoder decoder;
  auto buffer = std::move(*JitterBuffer::create({}, decoder));
  std::array<float, 480> out{};
  const std::array<std::uint8_t, 1> payload{5};
  std::uint16_t sequence = 0;
  for (int i = 0; i < 1000; ++i) {
    // Twenty frames of speech, twenty of nothing, the sequence numbers without gaps.
    if (i / 20 % 2 == 0) {
      buffer->insert({111, false, sequence++, static_cast<std::uint32_t>(480 * i), 1}, payload,
                     i * 10 * kMs);
    }
    buffer->pull(out, i * 10 * kMs + kMs);
  }
  EXPECT_LE(buffer->metrics().concealed_ms, 200u);
}

TEST(JitterBuffer, refuses_nonsense) {
  FrameCountingDecoder decoder;
  EXPECT_FALSE(JitterBuffer::create({-1, 400}, decoder).ok());
  EXPECT_FALSE(JitterBuffer::create({100, 50}, decoder).ok());
  EXPECT_FALSE(JitterBuffer::create({0, 5000}, decoder).ok());
  auto buffer = std::move(*JitterBuffer::create({}, decoder));
  buffer->insert({}, std::vector<std::uint8_t>(7), 0);
  buffer->insert({}, {}, 0);
  buffer->insert({}, std::vector<std::uint8_t>(1500), 0);
  EXPECT_EQ(buffer->metrics().malformed, 3u);
  std::array<float, 7> wrong{};
  EXPECT_EQ(buffer->pull(wrong, 0), JitterBuffer::Pulled::kSilence);
}

TEST(JitterBuffer, survives_any_order_of_anything) {
  auto opus = std::move(*SpeechDecoder::create(48000));
  SpeechEncoderConfig fast;
  fast.complexity = 0;
  auto encoder = std::move(*SpeechEncoder::create(fast));
  auto buffer = std::move(*JitterBuffer::create({}, *opus));
  std::mt19937 random(4);
  std::vector<std::uint8_t> packet(300);
  std::vector<float> pcm(480), out(480);
  std::int64_t now = 0;
  for (int i = 0; i < 8000; ++i) {
    now += random() % (20 * kMs);
    RtpHeader header{111, false, static_cast<std::uint16_t>(i), static_cast<std::uint32_t>(480 * i),
                     1};
    packet.resize(300);
    packet.resize(encoder->encode(pcm, packet));
    switch (random() % 8) {
      case 0:
        header.sequence = static_cast<std::uint16_t>(random());
        break;
      case 1:
        header.timestamp = random();
        break;
      case 2:
        header.timestamp += random() % 100000;
        break;
      case 3:
        for (auto& byte : packet) byte = static_cast<std::uint8_t>(random());
        break;
      default:
        break;
    }
    buffer->insert(header, packet, now);
    if (random() % 3 != 0) buffer->pull(out, now);
    for (const float x : out) ASSERT_TRUE(std::isfinite(x));
    ASSERT_GE(buffer->metrics().buffer_ms, 0);
  }
  // And then everything is well again.
  for (int i = 0; i < 300; ++i, now += 10 * kMs) {
    packet.resize(300);
    packet.resize(encoder->encode(pcm, packet));
    buffer->insert({111, false, static_cast<std::uint16_t>(8000 + i),
                    static_cast<std::uint32_t>(480 * (8000 + i)), 1},
                   packet, now);
    const auto pulled = buffer->pull(out, now + kMs);
    if (i > 250) {
      EXPECT_EQ(pulled, JitterBuffer::Pulled::kSound);
    }
  }
}

}  // namespace
}  // namespace conclave::media
