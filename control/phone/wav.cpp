// SPDX-License-Identifier: Apache-2.0
#include "control/phone/wav.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace conclave::control {

std::string wav_file(std::span<const float> samples, int sample_rate) {
  const auto bytes = static_cast<std::uint32_t>(samples.size() * 2);
  std::string out;
  out.reserve(44 + bytes);
  const auto u16 = [&out](std::uint32_t v) {
    out += static_cast<char>(v & 0xff);
    out += static_cast<char>(v >> 8 & 0xff);
  };
  const auto u32 = [&](std::uint32_t v) {
    u16(v & 0xffff);
    u16(v >> 16);
  };
  const auto rate = static_cast<std::uint32_t>(sample_rate);
  out += "RIFF";
  u32(36 + bytes);
  out += "WAVEfmt ";
  u32(16);
  u16(1);  // PCM
  u16(1);  // mono
  u32(rate);
  u32(rate * 2);
  u16(2);
  u16(16);
  out += "data";
  u32(bytes);
  for (const float sample : samples) {
    const float clipped = std::isfinite(sample) ? std::clamp(sample, -1.0F, 1.0F) : 0.0F;
    u16(static_cast<std::uint16_t>(static_cast<std::int16_t>(std::lround(clipped * 32767.0F))));
  }
  return out;
}

}  // namespace conclave::control
