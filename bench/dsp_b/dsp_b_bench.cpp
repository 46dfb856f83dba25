// SPDX-License-Identifier: Apache-2.0
// Cost of 10 ms in each block of dsp/array, dsp/enhance and dsp/level. Argument: sample rate, and
// microphones where it matters.
#include <benchmark/benchmark.h>

#include <cmath>
#include <numbers>
#include <random>
#include <vector>

#include "base/realtime.h"
#include "dsp/array/beam_bank.h"
#include "dsp/array/direction_finder.h"
#include "dsp/array/satellite_mixer.h"
#include "dsp/enhance/comfort_noise.h"
#include "dsp/enhance/noise_suppressor.h"
#include "dsp/level/agc.h"
#include "dsp/level/level_meter.h"
#include "dsp/level/limiter.h"
#include "dsp/neural/mask_net.h"

namespace conclave::dsp {
namespace {

Geometry ring(int count) {
  Geometry g;
  for (int i = 0; i < count; ++i) {
    const double a = 2 * std::numbers::pi * i / count;
    g.ring.push_back({0.09 * std::cos(a), 0.09 * std::sin(a), 0});
  }
  return g;
}

int fft_size(int rate) { return rate == 48000 ? 1024 : 512; }

/// Spectra of noise whose level changes as syllables do.
class Spectra {
 public:
  Spectra(int channels, int bins) : x_(channels, bins) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 1);
    for (auto& frame : frames_) {
      frame = SpectrumBuffer(channels, bins);
      for (int c = 0; c < channels; ++c) {
        for (auto& v : frame[c]) v = 0.1F * std::complex<float>(normal(random), normal(random));
      }
    }
  }
  SpectrumView next() {
    copy<std::complex<float>>(frames_[at_++ % 8].view(), x_.view());
    return x_;
  }
  ConstSpectrumView peek() { return frames_[at_++ % 8]; }

 private:
  SpectrumBuffer frames_[8];
  SpectrumBuffer x_;
  std::size_t at_ = 0;
};

void bm_direction_finder(benchmark::State& state) {
  realtime::flush_denormals();
  const int rate = static_cast<int>(state.range(0));
  const int mics = static_cast<int>(state.range(1));
  auto finder = DirectionFinder::create({.geometry = ring(mics),
                                         .sample_rate = rate,
                                         .fft_size = fft_size(rate),
                                         .hop = rate / 100})
                    .value();
  Spectra spectra(mics, fft_size(rate) / 2 + 1);
  for (auto _ : state) finder->process(spectra.peek(), true);
}
BENCHMARK(bm_direction_finder)
    ->Args({48000, 8})
    ->Args({16000, 8})
    ->Args({48000, 16})
    ->Unit(benchmark::kMicrosecond);

void bm_beam_bank(benchmark::State& state) {
  const int rate = static_cast<int>(state.range(0));
  const int mics = static_cast<int>(state.range(1));
  const bool fading = state.range(2) != 0;
  auto bank = BeamBank::create({.geometry = ring(mics),
                                .sample_rate = rate,
                                .fft_size = fft_size(rate),
                                .hop = rate / 100})
                  .value();
  Spectra spectra(mics, fft_size(rate) / 2 + 1);
  SpectrumBuffer out(1, fft_size(rate) / 2 + 1);
  float azimuth = 0;
  for (auto _ : state) {
    if (fading) azimuth += 40;
    bank->process(spectra.peek(), azimuth, out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(bm_beam_bank)
    ->Args({48000, 8, 0})
    ->Args({48000, 8, 1})
    ->Args({48000, 10, 0})
    ->Args({16000, 8, 0})
    ->Unit(benchmark::kMicrosecond);

void bm_beam_bank_create(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(BeamBank::create({.geometry = ring(8)}).value());
  }
}
BENCHMARK(bm_beam_bank_create)->Unit(benchmark::kMillisecond);

void bm_satellite_mixer(benchmark::State& state) {
  auto mixer = SatelliteMixer::create({.satellites = 2}).value();
  Spectra spectra(3, 513);
  SpectrumBuffer out(1, 513);
  const bool synced[2] = {true, true};
  for (auto _ : state) {
    const auto x = spectra.peek();
    mixer->process(x.rows(0, 1), x.rows(1, 2), synced, true, out);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(bm_satellite_mixer)->Unit(benchmark::kMicrosecond);

void bm_noise_suppressor(benchmark::State& state) {
  realtime::flush_denormals();
  const int rate = static_cast<int>(state.range(0));
  auto suppressor =
      NoiseSuppressor::create({.sample_rate = rate, .fft_size = fft_size(rate), .hop = rate / 100})
          .value();
  Spectra spectra(1, fft_size(rate) / 2 + 1);
  std::vector<float> gain(static_cast<std::size_t>(fft_size(rate) / 2 + 1));
  for (auto _ : state) suppressor->process(spectra.next(), gain);
}
BENCHMARK(bm_noise_suppressor)->Arg(48000)->Arg(16000)->Unit(benchmark::kMicrosecond);

/// The network alone: 195 000 weights.
void bm_mask_net(benchmark::State& state) {
  realtime::flush_denormals();
  auto net = MaskNet::create().value();
  std::vector<float> features(MaskFeatures::kCount);
  for (std::size_t i = 0; i < features.size(); ++i)
    features[i] = std::sin(0.1F * static_cast<float>(i));
  for (auto _ : state) benchmark::DoNotOptimize(net->process(features));
}
BENCHMARK(bm_mask_net)->Unit(benchmark::kMicrosecond);

/// Features, network and gains of the bins.
void bm_learned_mask(benchmark::State& state) {
  realtime::flush_denormals();
  const int rate = static_cast<int>(state.range(0));
  auto mask = LearnedMask::create(rate, rate / 100).value();
  Spectra spectra(3, fft_size(rate) / 2 + 1);
  for (auto _ : state) {
    const auto x = spectra.peek();
    mask->process(x[0], x[1], x[2]);
  }
}
BENCHMARK(bm_learned_mask)->Arg(48000)->Arg(16000)->Unit(benchmark::kMicrosecond);

void bm_comfort_noise(benchmark::State& state) {
  auto comfort = ComfortNoise::create({}).value();
  Spectra spectra(1, 513);
  const std::vector<float> gain(513, 0.3F);
  const std::vector<float> power(513, 0.01F);
  for (auto _ : state) comfort->process(spectra.next(), gain, power);
}
BENCHMARK(bm_comfort_noise)->Unit(benchmark::kMicrosecond);

class Samples {
 public:
  explicit Samples(int channels) : source_(channels, 480), x_(channels, 480) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.3F);
    for (int c = 0; c < channels; ++c) {
      for (float& v : source_[c]) v = normal(random);
    }
  }
  FrameView next() {
    copy<float>(source_.view(), x_.view());
    return x_;
  }

 private:
  FrameBuffer source_;
  FrameBuffer x_;
};

void bm_agc(benchmark::State& state) {
  auto agc = Agc::create({}).value();
  Samples samples(1);
  for (auto _ : state) agc->process(samples.next(), 0.9F);
}
BENCHMARK(bm_agc)->Unit(benchmark::kMicrosecond);

void bm_limiter(benchmark::State& state) {
  auto limiter = Limiter::create({}).value();
  Samples samples(1);
  for (auto _ : state) limiter->process(samples.next());
}
BENCHMARK(bm_limiter)->Unit(benchmark::kMicrosecond);

void bm_level_meter(benchmark::State& state) {
  auto meter = LevelMeter::create({.channels = 10}).value();
  Samples samples(10);
  for (auto _ : state) meter.process(samples.next());
}
BENCHMARK(bm_level_meter)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace conclave::dsp
