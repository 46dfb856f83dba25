// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/block_system.h"

#include <algorithm>

#include "base/realtime.h"
#include "engine/cpu_histogram.h"

namespace conclave::bench::echo {

Result<SystemOutput> BlockSystem::run(const SystemInput& input,
                                      const std::atomic<bool>& stop) const {
  CONCLAVE_TRY(auto processor, start(input));
  const int hop = input.rate / 100;
  const int frames = input.mics.frames();
  FrameBuffer mics(input.mics.channels(), hop);
  FrameBuffer far(1, hop);
  FrameBuffer out(1, hop);
  SystemOutput result;
  result.sent.reserve(static_cast<std::size_t>(frames) + static_cast<std::size_t>(hop));
  engine::CpuHistogram cpu;
  double total_us = 0;
  realtime::flush_denormals();
  const auto cut = [hop](ConstFrameView from, int first, FrameView to) {
    for (int c = 0; c < to.channels(); ++c) {
      std::ranges::fill(to[c], 0.0F);
      const int count = std::clamp(from.frames() - first, 0, hop);
      if (count > 0) std::ranges::copy(from.columns(first, count)[c], to[c].begin());
    }
  };
  for (int first = 0; first < frames; first += hop) {
    if (stop) return Error{"stopped"};
    cut(input.mics, first, mics);
    cut(input.far, first, far);
    const auto begin = realtime::thread_cpu_ns();
    processor->process(mics, far, out[0]);
    const double us = static_cast<double>(realtime::thread_cpu_ns() - begin) * 1e-3;
    cpu.add(static_cast<float>(us));
    total_us += us;
    result.sent.insert(result.sent.end(), out[0].begin(), out[0].end());
  }
  result.sent.resize(static_cast<std::size_t>(frames));
  const auto blocks = static_cast<double>(std::max<std::uint64_t>(cpu.count(), 1));
  result.cpu = {total_us / blocks, static_cast<double>(cpu.percentile(0.5F)),
                static_cast<double>(cpu.percentile(0.99F)), static_cast<double>(cpu.max_us())};
  result.latency_ms = processor->latency_ms();
  return result;
}

}  // namespace conclave::bench::echo
