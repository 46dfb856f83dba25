// SPDX-License-Identifier: Apache-2.0
// What the virtual room costs: one block with the loudspeaker playing and the talkers talking. The
// share of a core is time / block length.
#include <benchmark/benchmark.h>

#include <string>

#include "base/realtime.h"
#include "bench/room/random.h"
#include "bench/room/simulator.h"

namespace conclave::bench::room {
namespace {

void room_block(benchmark::State& state) {
  realtime::flush_denormals();
  Scene scene = synthetic_scene(static_cast<int>(state.range(0)));
  scene.talk_seconds = 10;
  auto simulator = Simulator::create(scene);
  if (!simulator) {
    state.SkipWithError(simulator.error().message.c_str());
    return;
  }
  const int block = (*simulator)->block_frames();
  FrameBuffer far(1, block);
  FrameBuffer out((*simulator)->microphones(), block);
  Random random(1);
  for (float& x : far[0]) x = 0.2F * random.noise();
  for (auto _ : state) (*simulator)->process(far, out);
  state.counters["block_us"] = 1e6 * block / scene.sample_rate;
}
BENCHMARK(room_block)->Arg(48000)->Arg(16000)->Unit(benchmark::kMicrosecond);

void room_start(benchmark::State& state) {
  for (auto _ : state) {
    auto simulator = Simulator::create(synthetic_scene(48000));
    benchmark::DoNotOptimize(simulator);
  }
}
BENCHMARK(room_start)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace conclave::bench::room
