// SPDX-License-Identifier: Apache-2.0
// Cost of the packet path, per 10 ms of sound: codec, RTP and SRTP, jitter buffer, rings, SDP.
#include <benchmark/benchmark.h>

#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "base/audio_frame.h"
#include "media/jitter/jitter_buffer.h"
#include "media/opus/opus_codec.h"
#include "media/rtp/rtp_session.h"
#include "media/sip/sdp.h"

namespace conclave::media {
namespace {

/// Harmonics of a voice with changing pitch, so that the encoder has something to do.
std::vector<float> voice(int rate) {
  std::vector<float> out(static_cast<std::size_t>(rate) * 2);
  double phase = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / rate;
    phase += 6.283185307179586 * (130 + 30 * std::sin(5 * t)) / rate;
    double sum = 0;
    for (int h = 1; h <= 15; ++h) sum += std::sin(h * phase) / h;
    out[i] = static_cast<float>(0.1 * sum * (0.6 + 0.4 * std::sin(20 * t)));
  }
  return out;
}

void encode(benchmark::State& state) {
  const int rate = static_cast<int>(state.range(0));
  SpeechEncoderConfig config;
  config.sample_rate = rate;
  config.complexity = static_cast<int>(state.range(1));
  auto encoder = std::move(*SpeechEncoder::create(config));
  const auto sound = voice(rate);
  const auto hop = static_cast<std::size_t>(rate) / 100;
  std::array<std::uint8_t, 400> packet{};
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(encoder->encode(std::span(sound).subspan(at, hop), packet));
    at = (at + hop) % sound.size();
  }
}
BENCHMARK(encode)
    ->ArgNames({"rate", "complexity"})
    ->Args({48000, 0})
    ->Args({48000, 5})
    ->Args({48000, 10})
    ->Args({16000, 5});

std::vector<std::vector<std::uint8_t>> packets(int rate) {
  auto encoder = std::move(*SpeechEncoder::create({}));
  const auto sound = voice(rate);
  std::vector<std::vector<std::uint8_t>> out;
  for (std::size_t at = 0; at + 480 <= sound.size(); at += 480) {
    std::vector<std::uint8_t> packet(400);
    packet.resize(encoder->encode(std::span(sound).subspan(at, 480), packet));
    out.push_back(std::move(packet));
  }
  return out;
}

void decode(benchmark::State& state) {
  const auto all = packets(48000);
  auto decoder = std::move(*SpeechDecoder::create(static_cast<int>(state.range(0))));
  std::vector<float> pcm(static_cast<std::size_t>(state.range(0)) / 100);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(decoder->decode(all[i], pcm));
    i = (i + 1) % all.size();
  }
}
BENCHMARK(decode)->ArgName("rate")->Arg(48000)->Arg(16000);

void conceal(benchmark::State& state) {
  const auto all = packets(48000);
  auto decoder = std::move(*SpeechDecoder::create(48000));
  std::vector<float> pcm(480);
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(i % 4 == 0 ? decoder->conceal(pcm)
                                        : decoder->decode(all[i % all.size()], pcm));
    ++i;
  }
}
BENCHMARK(conceal);

void packet_path(benchmark::State& state) {
  const auto suite = static_cast<SrtpSuite>(state.range(0));
  RtpSessionConfig one, two;
  one.local_key = two.remote_key = *SrtpKey::generate(suite);
  one.remote_key = two.local_key = *SrtpKey::generate(suite);
  auto sender = std::move(*RtpSession::create(one));
  auto receiver = std::move(*RtpSession::create(two));
  std::array<std::uint8_t, kMaxDatagramBytes> buffer{};
  RtpPacket packet;
  std::int64_t now = 0;
  for (auto _ : state) {
    const auto size = sender->finish_rtp(buffer, 60, 480);
    benchmark::DoNotOptimize(receiver->receive(std::span(buffer).first(size), now, now, packet));
    now += 10'000'000;
  }
  state.SetLabel(std::string(suite_name(suite)));
}
BENCHMARK(packet_path)->DenseRange(0, 3);

void jitter_buffer(benchmark::State& state) {
  const auto all = packets(48000);
  auto decoder = std::move(*SpeechDecoder::create(48000));
  auto buffer = std::move(*JitterBuffer::create({}, *decoder));
  std::vector<float> pcm(480);
  std::uint32_t i = 0;
  std::uint32_t random = 1;
  for (auto _ : state) {
    random = random * 1664525U + 1013904223U;
    const std::int64_t now = static_cast<std::int64_t>(i) * 10'000'000;
    buffer->insert({111, false, static_cast<std::uint16_t>(i), i * 480, 1}, all[i % all.size()],
                   now + random % 20'000'000);
    benchmark::DoNotOptimize(buffer->pull(pcm, now));
    ++i;
  }
}
BENCHMARK(jitter_buffer);  // with decoding

void frame_ring(benchmark::State& state) {
  AudioFrameRing ring(16);
  AudioFrame frame;
  frame.samples = 480;
  for (auto _ : state) {
    ring.try_push(frame);
    benchmark::DoNotOptimize(ring.try_pop(frame));
  }
}
BENCHMARK(frame_ring);

void sdp(benchmark::State& state) {
  LocalMedia local;
  local.address = "192.0.2.1";
  local.port = 40000;
  const auto text = build_sdp(*make_offer(local));
  for (auto _ : state) benchmark::DoNotOptimize(make_answer(*parse_sdp(text), local));
}
BENCHMARK(sdp);

}  // namespace
}  // namespace conclave::media
