// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include "dsp/resample/drift_compensator.h"
#include "dsp/resample/fractional_resampler.h"

namespace {

using namespace conclave;  // NOLINT(google-build-using-namespace)

/// ns_per_sample: per output sample and channel.
void BM_FractionalResampler(benchmark::State& state) {
  const auto channels = static_cast<int>(state.range(0));
  auto resampler = dsp::FractionalResampler::create({channels, 600}).value();
  FrameBuffer in(channels, 600);
  FrameBuffer out(channels, 480);
  std::int64_t samples = 0;
  for (auto _ : state) {
    int consumed = 0;
    int produced = 0;
    const ConstFrameView all = in;
    resampler->process(all.columns(0, resampler->needed(480, 1.00005)), 1.00005, out, consumed,
                       produced);
    samples += static_cast<std::int64_t>(produced) * channels;
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["ns_per_sample"] =
      benchmark::Counter(static_cast<double>(samples) * 1e-9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(BM_FractionalResampler)->Arg(1)->Arg(2)->Arg(8);

void BM_DriftCompensator(benchmark::State& state) {
  auto drift = dsp::DriftCompensator::create({}).value();
  FrameBuffer in(1, 480);
  FrameBuffer out(1, 480);
  for (auto _ : state) {
    drift->push(in);
    drift->pull(out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(BM_DriftCompensator);

}  // namespace
