// SPDX-License-Identifier: Apache-2.0
#include "engine/ab_recorder.h"

#include <algorithm>
#include <cstddef>

namespace conclave::engine {
namespace {
constexpr double kMarginSeconds = 1.0;

std::uint64_t samples(double seconds, int sample_rate) {
  return static_cast<std::uint64_t>(std::max(seconds, 0.0) * sample_rate);
}
}  // namespace

AbRecorder::AbRecorder(int sample_rate, double seconds, int latency_frames)
    : sample_rate_(sample_rate),
      latency_(static_cast<std::uint64_t>(latency_frames)),
      longest_(samples(seconds, sample_rate)),
      capacity_(longest_ + latency_ + samples(kMarginSeconds, sample_rate)),
      raw_(std::make_unique<std::atomic<float>[]>(capacity_)),
      sent_(std::make_unique<std::atomic<float>[]>(capacity_)),
      played_(std::make_unique<std::atomic<float>[]>(capacity_)) {}

void AbRecorder::write(std::span<const float> raw, std::span<const float> sent,
                       std::span<const float> played, std::int64_t time_ns) noexcept {
  const std::size_t hop = std::min({raw.size(), sent.size(), played.size()});
  const std::uint64_t written = written_.load(std::memory_order_relaxed);
  std::uint64_t at = written % capacity_;
  for (std::size_t i = 0; i < hop; ++i) {
    raw_[at].store(raw[i], std::memory_order_relaxed);
    sent_[at].store(sent[i], std::memory_order_relaxed);
    played_[at].store(played[i], std::memory_order_relaxed);
    if (++at == capacity_) at = 0;
  }
  time_ns_.store(time_ns, std::memory_order_relaxed);
  written_.store(written + hop, std::memory_order_release);
}

AbRecorder::Recording AbRecorder::copy_last(double seconds) const {
  Recording recording;
  recording.sample_rate = sample_rate_;
  const std::uint64_t wanted = std::min(samples(seconds, sample_rate_), longest_);
  for (int attempt = 0; attempt < 3; ++attempt) {
    const std::uint64_t end = written_.load(std::memory_order_acquire);
    const std::uint64_t heard = end > latency_ ? end - latency_ : 0;
    const std::uint64_t count = std::min(wanted, heard);
    recording.raw.resize(count);
    recording.sent.resize(count);
    recording.played.resize(count);
    const double behind = static_cast<double>(count + latency_) / sample_rate_;
    recording.start_ns =
        time_ns_.load(std::memory_order_relaxed) - static_cast<std::int64_t>(behind * 1e9);
    copy(raw_.get(), capacity_, end - latency_ - count, recording.raw);
    copy(played_.get(), capacity_, end - latency_ - count, recording.played);
    copy(sent_.get(), capacity_, end - count, recording.sent);
    // The writer may be in the middle of the hop behind written_: count that as overwritten, too.
    const std::uint64_t now = written_.load(std::memory_order_relaxed);
    const std::uint64_t hop_and_more = static_cast<std::uint64_t>(sample_rate_) / 50;
    if (now + hop_and_more - (end - latency_ - count) <= capacity_) return recording;
  }
  recording.raw.clear();
  recording.sent.clear();
  recording.played.clear();
  return recording;
}

void AbRecorder::copy(const std::atomic<float>* ring, std::size_t capacity, std::uint64_t first,
                      std::span<float> out) {
  std::uint64_t at = first % capacity;
  for (float& sample : out) {
    // Acquire: copy_last's second look at written_ must not come before this.
    sample = ring[at].load(std::memory_order_acquire);
    if (++at == capacity) at = 0;
  }
}

}  // namespace conclave::engine
