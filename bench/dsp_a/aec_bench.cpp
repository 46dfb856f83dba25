// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <chrono>
#include <random>
#include <vector>

#include "base/realtime.h"
#include "dsp/aec/delay_estimator.h"
#include "dsp/aec/echo_canceller.h"
#include "dsp/aec/residual_suppressor.h"
#include "dsp/aec/variable_delay.h"
#include "dsp/enhance/comfort_noise.h"
#include "dsp/transform/real_fft.h"
#include "dsp/transform/stft.h"

namespace {

using namespace conclave;  // NOLINT(google-build-using-namespace)

void fill(FrameView view, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.1F);
  for (int c = 0; c < view.channels(); ++c) {
    for (float& x : view[c]) x = normal(random);
  }
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Of one transform of this size, forward and inverse mixed.
double seconds_of_fft(int size) {
  const auto fft = dsp::RealFft::create(size).value();
  FrameBuffer time(1, size);
  SpectrumBuffer spectrum(1, fft.bins());
  fill(time, 9);
  constexpr int kPairs = 2000;
  const auto begin = Clock::now();
  for (int i = 0; i < kPairs; ++i) {
    fft.forward(time[0], spectrum[0]);
    fft.inverse(spectrum[0], time[0]);
    benchmark::DoNotOptimize(time.data());
  }
  return seconds_since(begin) / (2 * kPairs);
}

/// fft_share: which part of the measured time is transforms, 0..1.
void tell_fft_share(benchmark::State& state, double elapsed, double transforms, int size) {
  const double block = elapsed / static_cast<double>(state.iterations());
  state.counters["fft_share"] = transforms * seconds_of_fft(size) / block;
}

/// Arguments: sample rate, microphones, tail in ms. One iteration is 10 ms.
void BM_EchoCanceller(benchmark::State& state) {
  realtime::flush_denormals();
  dsp::EchoCancellerConfig config;
  config.sample_rate = static_cast<int>(state.range(0));
  config.hop = config.sample_rate / 100;
  config.microphones = static_cast<int>(state.range(1));
  config.tail_ms = static_cast<float>(state.range(2));
  auto aec = dsp::EchoCanceller::create(config).value();
  constexpr int kBlocks = 50;
  FrameBuffer mics(config.microphones, config.hop * kBlocks);
  FrameBuffer far(1, config.hop * kBlocks);
  FrameBuffer out(config.microphones, config.hop);
  FrameBuffer echo(config.microphones, config.hop);
  fill(mics, 1);
  fill(far, 2);
  const ConstFrameView all_mics = mics;
  const ConstFrameView all_far = far;
  int block = 0;
  const auto begin = Clock::now();
  for (auto _ : state) {
    aec->process(all_mics.columns(block * config.hop, config.hop),
                 all_far.columns(block * config.hop, config.hop), out, echo);
    block = (block + 1) % kBlocks;
  }
  // The far end; echo and error of each microphone and of the shadow filter; two constrained
  // partitions of each.
  const double transforms = 1 + 6.0 * (config.microphones + 1);
  tell_fft_share(state, seconds_since(begin), transforms, dsp::fft_size_for_hop(config.hop));
}
BENCHMARK(BM_EchoCanceller)
    ->Args({48000, 1, 200})
    ->Args({48000, 8, 200})
    ->Args({48000, 10, 200})
    ->Args({48000, 10, 500})
    ->Args({16000, 1, 200})
    ->Args({16000, 10, 200})
    ->Unit(benchmark::kMicrosecond);

void BM_ResidualSuppressor(benchmark::State& state) {
  const auto bins = static_cast<int>(state.range(0));
  auto suppressor =
      dsp::ResidualSuppressor::create({bins == 513 ? 48000 : 16000, bins == 513 ? 480 : 160, bins})
          .value();
  SpectrumBuffer spectra(4, bins);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int c = 0; c < 3; ++c) {
    for (auto& s : spectra[c]) s = {normal(random), normal(random)};
  }
  const ConstSpectrumView in = spectra;
  std::vector<float> gain(static_cast<std::size_t>(bins));
  for (auto _ : state) {
    std::copy(in[0].begin(), in[0].end(), spectra[3].begin());
    suppressor->process(in.rows(0, 1), in.rows(1, 1), in.rows(2, 1), spectra.view().rows(3, 1),
                        gain);
    benchmark::DoNotOptimize(gain.data());
  }
}
BENCHMARK(BM_ResidualSuppressor)->Arg(257)->Arg(513)->Unit(benchmark::kMicrosecond);

/// What the echo chain of the engine does for one microphone and 10 ms: delay search, filter,
/// spectra, residual suppression, comfort noise, synthesis.
void BM_EchoChain(benchmark::State& state) {
  realtime::flush_denormals();
  const auto rate = static_cast<int>(state.range(0));
  const int hop = rate / 100;
  constexpr int kBlocks = 50;
  auto estimator = dsp::DelayEstimator::create({rate, hop, 600}).value();
  auto aec =
      dsp::EchoCanceller::create({.sample_rate = rate, .microphones = 1, .hop = hop}).value();
  auto analysis = dsp::StftAnalysis::create(3, hop).value();
  auto synthesis = dsp::StftSynthesis::create(1, hop).value();
  const int bins = analysis->bins();
  auto suppressor = dsp::ResidualSuppressor::create({rate, hop, bins}).value();
  auto comfort = dsp::ComfortNoise::create({.fft_size = analysis->fft_size(), .hop = hop}).value();
  FrameBuffer signals(2, hop * kBlocks), time(3, hop), sent(1, hop);
  SpectrumBuffer spectra(3, bins), out(1, bins);
  FrameBuffer gain(1, bins);
  fill(signals, 4);
  const ConstFrameView all = signals;
  int block = 0;
  const auto begin = Clock::now();
  for (auto _ : state) {
    const auto now = all.columns(block * hop, hop);
    estimator->process(now[0], now[1]);
    aec->process(now.rows(0, 1), now.rows(1, 1), time.view().rows(0, 1), time.view().rows(1, 1));
    std::copy(now[1].begin(), now[1].end(), time[2].begin());
    analysis->process(time, spectra);
    const ConstSpectrumView s = spectra;
    std::copy(s[0].begin(), s[0].end(), out[0].begin());
    suppressor->process(s.rows(0, 1), s.rows(1, 1), s.rows(2, 1), out, gain[0]);
    comfort->process(out, gain[0], suppressor->comfort_power());
    synthesis->process(out, sent);
    benchmark::DoNotOptimize(sent.data());
    block = (block + 1) % kBlocks;
  }
  tell_fft_share(state, seconds_since(begin), 13 + 4, dsp::fft_size_for_hop(hop));
}
BENCHMARK(BM_EchoChain)->Arg(16000)->Arg(48000)->Unit(benchmark::kMicrosecond);

/// Argument: whole samples, or on the way (resampled).
void BM_VariableDelay(benchmark::State& state) {
  auto line = dsp::VariableDelay::create(28800, 480).value();
  line.set_delay(2000, false);
  if (state.range(0) != 0) line.set_rate(50);
  FrameBuffer block(1, 480);
  fill(block, 5);
  for (auto _ : state) {
    // Back before it has crept to the end of its range.
    if (line.delay() < 1000) line.set_delay(2000, false);
    line.process(block[0], block[0]);
  }
}
BENCHMARK(BM_VariableDelay)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

void BM_DelayEstimator(benchmark::State& state) {
  const auto rate = static_cast<int>(state.range(0));
  auto estimator = dsp::DelayEstimator::create({rate, rate / 100, 600}).value();
  FrameBuffer block(2, rate / 100);
  fill(block, 3);
  for (auto _ : state) estimator->process(block[0], block[1]);
}
BENCHMARK(BM_DelayEstimator)->Arg(16000)->Arg(48000)->Unit(benchmark::kMicrosecond);

}  // namespace
