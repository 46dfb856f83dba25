// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include "dsp/transform/stft.h"

namespace {

using namespace conclave;  // NOLINT(google-build-using-namespace)

void BM_RealFft(benchmark::State& state) {
  const auto fft = dsp::RealFft::create(static_cast<int>(state.range(0))).value();
  FrameBuffer time(1, fft.size());
  SpectrumBuffer spectrum(1, fft.bins());
  for (int i = 0; i < fft.size(); ++i) time.data()[i] = static_cast<float>(i % 17) - 8;
  for (auto _ : state) {
    fft.forward(time[0], spectrum[0]);
    benchmark::DoNotOptimize(spectrum.data());
  }
}
BENCHMARK(BM_RealFft)->Arg(512)->Arg(1024);

void BM_RealFftInverse(benchmark::State& state) {
  const auto fft = dsp::RealFft::create(static_cast<int>(state.range(0))).value();
  FrameBuffer time(1, fft.size());
  SpectrumBuffer spectrum(1, fft.bins());
  for (auto _ : state) {
    fft.inverse_unscaled(spectrum[0], time[0]);
    benchmark::DoNotOptimize(time.data());
  }
}
BENCHMARK(BM_RealFftInverse)->Arg(512)->Arg(1024);

void BM_StftAnalysis(benchmark::State& state) {
  const auto channels = static_cast<int>(state.range(0));
  auto analysis = dsp::StftAnalysis::create(channels, 480).value();
  FrameBuffer time(channels, 480);
  SpectrumBuffer spectrum(channels, analysis->bins());
  for (auto _ : state) {
    analysis->process(time, spectrum);
    benchmark::DoNotOptimize(spectrum.data());
  }
}
BENCHMARK(BM_StftAnalysis)->Arg(1)->Arg(10);

}  // namespace
