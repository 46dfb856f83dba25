// SPDX-License-Identifier: Apache-2.0
#include "engine/taps.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace conclave::engine {
namespace {

struct Named {
  std::string_view name;
  TapPoint point;
  bool per_microphone;
};
constexpr Named kNames[] = {
    {"mic", TapPoint::kMic, true},
    {"aec", TapPoint::kAec, true},
    {"echo", TapPoint::kEcho, true},
    {"far", TapPoint::kFar, false},
    {"playback", TapPoint::kPlayback, false},
    {"beam", TapPoint::kBeam, false},
    {"mix", TapPoint::kMix, false},
    {"post_rs", TapPoint::kPostRs, false},
    {"post_ns", TapPoint::kPostNs, false},
    {"sent", TapPoint::kSent, false},
};

bool is_spectrum(TapPoint point) {
  return point == TapPoint::kBeam || point == TapPoint::kMix || point == TapPoint::kPostRs ||
         point == TapPoint::kPostNs;
}

struct Parsed {
  TapPoint point;
  int channel;
};
std::optional<Parsed> parse(std::string_view text, int microphones) {
  for (const auto& named : kNames) {
    if (!named.per_microphone) {
      if (text == named.name) return Parsed{named.point, 0};
      continue;
    }
    if (!text.starts_with(named.name)) continue;
    const auto digits = text.substr(named.name.size());
    int channel = -1;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), channel);
    if (error == std::errc{} && end == digits.data() + digits.size() && channel >= 0 &&
        channel < microphones) {
      return Parsed{named.point, channel};
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Taps> Taps::create(const std::vector<std::string>& names, int microphones, int hop,
                          int capacity_frames) {
  Taps taps;
  for (const auto& name : names) {
    const auto parsed = parse(name, microphones);
    if (!parsed) {
      const std::string last = std::to_string(microphones - 1);
      return Error{"no tap \"" + name + "\"; there are mic0..mic" + last + ", aec0..aec" + last +
                   ", echo0..echo" + last + ", far, playback, beam, mix, post_rs, post_ns, sent"};
    }
    auto tap = std::make_unique<Tap>(capacity_frames);
    tap->name = name;
    tap->point = parsed->point;
    tap->channel = parsed->channel;
    if (is_spectrum(parsed->point)) {
      CONCLAVE_TRY(tap->synthesis, dsp::StftSynthesis::create(1, hop));
      tap->time = FrameBuffer(1, hop);
    }
    taps.taps_.push_back(std::move(tap));
  }
  return taps;
}

void Taps::write(TapPoint point, ConstFrameView signal) noexcept {
  for (auto& tap : taps_) {
    if (tap->point == point && tap->channel < signal.channels()) push(*tap, signal[tap->channel]);
  }
}

void Taps::write(TapPoint point, ConstSpectrumView spectrum) noexcept {
  for (auto& tap : taps_) {
    if (tap->point != point) continue;
    tap->synthesis->process(spectrum, tap->time);
    push(*tap, tap->time[0]);
  }
}

void Taps::reset() noexcept {
  for (auto& tap : taps_) {
    if (tap->synthesis != nullptr) tap->synthesis->reset();
  }
}

void Taps::push(Tap& tap, std::span<const float> samples) noexcept {
  AudioFrame* frame = tap.ring.begin_push();
  if (frame == nullptr) {
    ++overruns_;
    ++tap.index;
    return;
  }
  const std::size_t count = std::min(samples.size(), frame->data.size());
  std::copy_n(samples.begin(), count, frame->data.begin());
  frame->samples = static_cast<std::int32_t>(count);
  frame->index = tap.index++;
  frame->time_ns = 0;
  frame->flags = 0;
  tap.ring.end_push();
}

bool Taps::read(int tap, AudioFrame& frame) noexcept {
  return taps_[static_cast<std::size_t>(tap)]->ring.try_pop(frame);
}

}  // namespace conclave::engine
