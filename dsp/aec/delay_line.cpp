// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/delay_line.h"

#include <algorithm>
#include <cassert>
#include <string>

namespace conclave::dsp {

Result<DelayLine> DelayLine::create(int max_delay, int max_frames) {
  if (max_delay < 0 || max_delay > 1'000'000 || max_frames < 1 || max_frames > 65536) {
    return Error{"delay line of " + std::to_string(max_delay) + " samples in blocks of " +
                 std::to_string(max_frames) + ": 0..1000000 and 1..65536 are possible"};
  }
  return DelayLine(max_delay, max_frames);
}

DelayLine::DelayLine(int max_delay, int max_frames)
    : max_delay_(max_delay), max_frames_(max_frames), ring_(1, max_delay + max_frames) {}

void DelayLine::set_delay(int samples) noexcept {
  next_delay_ = std::clamp(samples, 0, max_delay_);
}

void DelayLine::process(std::span<const float> in, std::span<float> out) noexcept {
  const int count = static_cast<int>(in.size());
  assert(count <= max_frames_ && out.size() == in.size());
  const int size = ring_.frames();
  float* ring = ring_.data();
  for (int i = 0; i < count; ++i) ring[(write_ + i) % size] = in[static_cast<std::size_t>(i)];
  const int a = (write_ - delay_ + size) % size;
  const int b = (write_ - next_delay_ + size) % size;
  for (int i = 0; i < count; ++i) {
    const float now = ring[(b + i) % size];
    const float fade = (static_cast<float>(i) + 0.5F) / static_cast<float>(count);
    out[static_cast<std::size_t>(i)] =
        a == b ? now : now * fade + ring[(a + i) % size] * (1 - fade);
  }
  write_ = (write_ + count) % size;
  delay_ = next_delay_;
}

void DelayLine::reset() noexcept {
  ring_.clear();
  write_ = 0;
  delay_ = next_delay_;
}

}  // namespace conclave::dsp
