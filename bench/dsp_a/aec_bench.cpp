// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "base/realtime.h"
#include "dsp/aec/delay_estimator.h"
#include "dsp/aec/echo_canceller.h"
#include "dsp/aec/residual_suppressor.h"

namespace {

using namespace conclave;  // NOLINT(google-build-using-namespace)

void fill(FrameView view, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.1F);
  for (int c = 0; c < view.channels(); ++c) {
    for (float& x : view[c]) x = normal(random);
  }
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
  for (auto _ : state) {
    aec->process(all_mics.columns(block * config.hop, config.hop),
                 all_far.columns(block * config.hop, config.hop), out, echo);
    block = (block + 1) % kBlocks;
  }
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

void BM_DelayEstimator(benchmark::State& state) {
  const auto rate = static_cast<int>(state.range(0));
  auto estimator = dsp::DelayEstimator::create({rate, rate / 100, 600}).value();
  FrameBuffer block(2, rate / 100);
  fill(block, 3);
  for (auto _ : state) estimator->process(block[0], block[1]);
}
BENCHMARK(BM_DelayEstimator)->Arg(16000)->Arg(48000)->Unit(benchmark::kMicrosecond);

}  // namespace
