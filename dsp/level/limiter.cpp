// SPDX-License-Identifier: Apache-2.0
#include "dsp/level/limiter.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <vector>

namespace conclave::dsp {
namespace {

// Gains are summed as whole numbers: a running sum of integers is exact, so it neither drifts nor
// needs a refresh.
constexpr float kUnits = 1 << 24;

}  // namespace

struct Limiter::State {
  LimiterConfig config;
  float ceiling = 1;
  float release = 0;   // what is left of the distance to 1 after a sample
  int look_ahead = 1;  // samples; also the length of the smoother
  FrameBuffer delay;   // channels x look_ahead, a ring
  std::size_t write = 0;

  // Monotone queue for the minimum over the newest look_ahead + 1 wanted gains.
  struct Item {
    std::uint64_t at = 0;
    float gain = 1;
  };
  std::vector<Item> queue;
  std::size_t head = 0;
  std::size_t count = 0;
  std::uint64_t now = 0;

  float released = 1;                // that minimum with exponential release
  std::vector<std::int32_t> smooth;  // the newest look_ahead values of it, in units
  std::int64_t sum = 0;
  LimiterMetrics metrics;

  /// The gain for the sample that leaves the delay now; `peak` is what enters it.
  float next_gain(float peak) noexcept {
    const float wanted = peak > ceiling ? ceiling / peak : 1.0F;
    const std::size_t size = queue.size();
    while (count > 0 && queue[(head + count - 1) % size].gain >= wanted) --count;
    queue[(head + count) % size] = {now, wanted};
    ++count;
    if (queue[head].at + static_cast<std::uint64_t>(look_ahead) < now) {
      head = (head + 1) % size;
      --count;
    }
    ++now;
    released = std::min(queue[head].gain, 1 - (1 - released) * release);
    const auto units = static_cast<std::int32_t>(released * kUnits);
    sum += units - smooth[write];
    smooth[write] = units;
    return static_cast<float>(sum) / (kUnits * static_cast<float>(look_ahead));
  }
};

Limiter::Limiter(std::unique_ptr<State> state) : state_(std::move(state)) {}
Limiter::~Limiter() = default;

Result<std::unique_ptr<Limiter>> Limiter::create(const LimiterConfig& config) {
  if (config.sample_rate < 8000 || config.sample_rate > 192000 || config.hop < 1 ||
      config.channels < 1 || config.channels > 16) {
    return Error{"limiter: 8..192 kHz and 1..16 channels are possible"};
  }
  if (!(config.ceiling_dbfs >= -20 && config.ceiling_dbfs <= 0) ||
      !(config.look_ahead_ms >= 0.5F && config.look_ahead_ms <= 5) ||
      !(config.release_ms >= 5 && config.release_ms <= 1000)) {
    return Error{"limiter: ceiling -20..0 dBFS, look-ahead 0.5..5 ms, release 5..1000 ms"};
  }
  auto state = std::make_unique<State>();
  State& s = *state;
  s.config = config;
  s.ceiling = std::pow(10.0F, config.ceiling_dbfs / 20);
  const auto rate = static_cast<float>(config.sample_rate);
  s.release = std::exp(-1000.0F / (config.release_ms * rate));
  s.look_ahead = std::max(1, static_cast<int>(std::lround(config.look_ahead_ms * 1e-3F * rate)));
  s.delay = FrameBuffer(config.channels, s.look_ahead);
  s.queue.resize(static_cast<std::size_t>(s.look_ahead) + 2);
  s.smooth.resize(static_cast<std::size_t>(s.look_ahead));
  std::unique_ptr<Limiter> limiter(new Limiter(std::move(state)));
  limiter->reset();
  return limiter;
}

void Limiter::reset() noexcept {
  State& s = *state_;
  s.delay.clear();
  s.write = 0;
  s.head = s.count = 0;
  s.now = 0;
  s.released = 1;
  std::fill(s.smooth.begin(), s.smooth.end(), static_cast<std::int32_t>(kUnits));
  s.sum = static_cast<std::int64_t>(kUnits) * s.look_ahead;
  s.metrics = {};
}

void Limiter::process(FrameView inout) noexcept {
  State& s = *state_;
  assert(inout.channels() == s.config.channels);
  const int channels = inout.channels();
  float least = 1;
  for (int i = 0; i < inout.frames(); ++i) {
    const auto n = static_cast<std::size_t>(i);
    float peak = 0;
    for (int c = 0; c < channels; ++c) {
      float& v = inout[c][n];
      if (!std::isfinite(v)) {
        v = 0;
        ++s.metrics.repaired;
      }
      peak = std::max(peak, std::abs(v));
    }
    const float gain = s.next_gain(peak);
    least = std::min(least, gain);
    if (gain < 1) ++s.metrics.limited;
    for (int c = 0; c < channels; ++c) {
      float& v = inout[c][n];
      // The clamp only takes away what rounding may add.
      const float y = std::clamp(s.delay[c][s.write] * gain, -s.ceiling, s.ceiling);
      s.delay[c][s.write] = v;
      v = y;
    }
    s.write = s.write + 1 == s.smooth.size() ? 0 : s.write + 1;
  }
  s.metrics.gain_db = 20 * std::log10(std::max(least, 1e-6F));
}

const LimiterMetrics& Limiter::metrics() const noexcept { return state_->metrics; }
int Limiter::latency_frames() const noexcept { return state_->look_ahead; }

}  // namespace conclave::dsp
