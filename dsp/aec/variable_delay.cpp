// SPDX-License-Identifier: Apache-2.0
#include "dsp/aec/variable_delay.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string>
#include <utility>

namespace conclave::dsp {
namespace {
constexpr int kTaps = FractionalResampler::kTaps;
constexpr int kHalf = kTaps / 2;
constexpr double kMostPpm = 1000;
}  // namespace

Result<VariableDelay> VariableDelay::create(int max_delay, int max_frames) {
  if (max_delay < 0 || max_delay > 1'000'000 || max_frames < 16 || max_frames > 65536) {
    return Error{"delay of " + std::to_string(max_delay) + " samples in blocks of " +
                 std::to_string(max_frames) + ": 0..1000000 and 16..65536 are possible"};
  }
  const FractionalResamplerConfig config{.channels = 1, .max_in_frames = max_frames + 2 * kTaps};
  CONCLAVE_TRY(auto a, FractionalResampler::create(config));
  CONCLAVE_TRY(auto b, FractionalResampler::create(config));
  return VariableDelay(max_delay, max_frames, std::move(a), std::move(b));
}

VariableDelay::VariableDelay(int max_delay, int max_frames, std::unique_ptr<FractionalResampler> a,
                             std::unique_ptr<FractionalResampler> b)
    : max_delay_(max_delay),
      max_frames_(max_frames),
      ring_(1, max_delay + max_frames + 2 * kTaps),
      input_(1, max_frames + 2 * kTaps),
      faded_(1, max_frames) {
  now_.resampler = std::move(a);
  old_.resampler = std::move(b);
}

void VariableDelay::reset() noexcept {
  ring_.clear();
  written_ = 0;
  now_.at = old_.at = 0;
  now_.moving = old_.moving = false;
  fading_ = false;
  ratio_ = 1;
}

double VariableDelay::delay_of(const Reader& reader) const noexcept {
  const auto whole = static_cast<double>(written_ - reader.at);
  return reader.moving ? whole + kHalf - reader.resampler->fraction() : whole;
}
double VariableDelay::delay() const noexcept { return delay_of(now_); }

void VariableDelay::set_delay(int samples, bool fade) noexcept {
  if (fade && !fading_) {
    std::swap(now_, old_);
    now_.moving = old_.moving;
    fading_ = true;
  }
  place(now_, std::clamp(samples, 0, max_delay_));
}

void VariableDelay::set_rate(double ppm) noexcept {
  if (!now_.moving) {
    const auto whole = static_cast<int>(written_ - now_.at);
    if (ppm == 0 || whole < kLeastMoving) return;
    now_.moving = true;
    place(now_, whole);
  }
  const double at = delay();
  if ((ppm > 0 && at < kLeastMoving) || (ppm < 0 && at > max_delay_ - max_frames_)) ppm = 0;
  ratio_ = 1.0 / (1.0 + std::clamp(std::isfinite(ppm) ? ppm : 0.0, -kMostPpm, kMostPpm) * 1e-6);
}

void VariableDelay::place(Reader& reader, int samples) noexcept {
  if (reader.moving && samples < kLeastMoving) reader.moving = false;
  if (!reader.moving) {
    reader.at = written_ - samples;
    return;
  }
  // The resampler's own delay is part of the delay; its memory is what came before.
  reader.resampler->reset();
  reader.at = written_ - samples + kHalf;
  const auto past = input_[0].first(kTaps);
  copy(reader.at - kTaps, past);
  int consumed = 0;
  int produced = 0;
  reader.resampler->process(ConstFrameView(past.data(), 1, kTaps), 1.0,
                            FrameView(past.data(), 1, kTaps), consumed, produced);
}

void VariableDelay::copy(std::int64_t from, std::span<float> to) const noexcept {
  const auto size = static_cast<std::int64_t>(ring_.frames());
  const auto ring = ring_[0];
  auto at = static_cast<std::size_t>(((from % size) + size) % size);
  for (float& x : to) {
    x = ring[at];
    if (++at == ring.size()) at = 0;
  }
}

void VariableDelay::read(Reader& reader, std::span<float> out) noexcept {
  const int count = static_cast<int>(out.size());
  if (!reader.moving) {
    copy(reader.at, out);
    reader.at += count;
    return;
  }
  const int needed = std::min(reader.resampler->needed(count, ratio_), input_.frames());
  copy(reader.at, input_[0].first(static_cast<std::size_t>(needed)));
  int consumed = 0;
  int produced = 0;
  reader.resampler->process(ConstFrameView(input_.data(), 1, needed), ratio_,
                            FrameView(out.data(), 1, count), consumed, produced);
  assert(produced == count);
  reader.at += consumed;
}

void VariableDelay::process(std::span<const float> in, std::span<float> out) noexcept {
  const int count = static_cast<int>(in.size());
  assert(count <= max_frames_ && out.size() == in.size());
  const auto size = static_cast<std::int64_t>(ring_.frames());
  auto at = static_cast<std::size_t>(written_ % size);
  const auto ring = ring_[0];
  for (const float x : in) {
    ring[at] = x;
    if (++at == ring.size()) at = 0;
  }
  read(now_, out);
  if (fading_) {
    const auto old = faded_[0].first(out.size());
    read(old_, old);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const float fade = (static_cast<float>(i) + 0.5F) / static_cast<float>(count);
      out[i] = fade * out[i] + (1 - fade) * old[i];
    }
    fading_ = false;
  }
  written_ += count;
  // The end of the range is near: what is left is kept.
  const double left = delay();
  if (now_.moving &&
      ((ratio_ < 1 && left < kLeastMoving) || (ratio_ > 1 && left > max_delay_ - max_frames_))) {
    ratio_ = 1;
  }
}

}  // namespace conclave::dsp
