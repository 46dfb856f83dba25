// SPDX-License-Identifier: Apache-2.0
// The whole engine per 10 ms, on signals that keep every block busy: far end and near talker at
// once. Budget: 10 channels at 48 kHz in a median of 700 us.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "base/realtime.h"
#include "engine/engine.h"

namespace conclave::engine {
namespace {

constexpr int kSeconds = 4;

struct Signals {
  FrameBuffer capture;
  FrameBuffer far;
};

Signals make_signals(int mics, int rate) {
  const int frames = kSeconds * rate;
  Signals s{FrameBuffer(mics, frames), FrameBuffer(1, frames)};
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0.0F, 0.05F);
  for (float& v : s.far[0]) v = normal(generator);
  std::vector<float> near(static_cast<std::size_t>(frames));
  for (std::size_t i = 0; i < near.size(); ++i) {
    near[i] = normal(generator) * (i / static_cast<std::size_t>(rate / 4) % 2 == 0 ? 1.0F : 0.1F);
  }
  for (int c = 0; c < mics; ++c) {
    const auto row = s.capture[c];
    for (std::size_t i = 400; i < row.size(); ++i) {
      row[i] = 0.4F * s.far[0][i - 300] + 0.2F * s.far[0][i - 400] +
               near[i - static_cast<std::size_t>(c)] + 0.01F * normal(generator);
    }
  }
  return s;
}

// One iteration is one block; counters are CPU microseconds of a block.
void run(benchmark::State& state, int rate, int ring, int satellites, Chain chain) {
  EngineConfig config;
  config.sample_rate = rate;
  config.chain = chain;
  for (int m = 0; m < ring; ++m) {
    const double a = 2.0 * M_PI * m / ring;
    config.geometry.ring.push_back({0.09 * std::cos(a), 0.09 * std::sin(a), 0.0});
  }
  for (int s = 0; s < satellites; ++s) config.geometry.satellites.emplace_back(std::nullopt);
  auto made = Engine::create(config);
  if (!made) {
    state.SkipWithError(made.error().message.c_str());
    return;
  }
  auto& engine = **made;
  realtime::flush_denormals();
  const auto signals = make_signals(ring + satellites, rate);
  const int hop = engine.hop();
  FrameBuffer playback(1, hop), send(1, hop);
  const std::array<bool, kMaxSatellites> synced{true, true, true, true};
  std::vector<float> us;
  us.reserve(1 << 16);
  int at = 0;
  for (auto _ : state) {
    const auto begin = realtime::thread_cpu_ns();
    engine.process(signals.capture.view().columns(at, hop), signals.far.view().columns(at, hop),
                   synced, playback, send);
    us.push_back(static_cast<float>(realtime::thread_cpu_ns() - begin) * 1e-3F);
    at = at + 2 * hop <= signals.far.frames() ? at + hop : 0;
    benchmark::DoNotOptimize(send.data());
  }
  std::ranges::sort(us);
  const auto at_fraction = [&](double f) {
    return static_cast<double>(
        us[static_cast<std::size_t>(f * static_cast<double>(us.size() - 1))]);
  };
  state.counters["p50_us"] = at_fraction(0.5);
  state.counters["p99_us"] = at_fraction(0.99);
  state.counters["max_us"] = at_fraction(1.0);
}

BENCHMARK_CAPTURE(run, full_48k_8_ring_2_satellites, 48000, 8, 2, Chain::kFull)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(run, full_16k_8_ring, 16000, 8, 0, Chain::kFull)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(run, array_48k_8_ring_2_satellites, 48000, 8, 2, Chain::kArray)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(run, echo_48k, 48000, 1, 0, Chain::kEcho)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(run, echo_16k, 16000, 1, 0, Chain::kEcho)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace conclave::engine
