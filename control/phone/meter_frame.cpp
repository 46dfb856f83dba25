// SPDX-License-Identifier: Apache-2.0
#include "control/phone/meter_frame.h"

#include <algorithm>
#include <cmath>

namespace conclave::control {
namespace {

void put_u16(std::string& out, std::uint16_t value) {
  out += static_cast<char>(value & 0xff);
  out += static_cast<char>(value >> 8);
}

void put_scaled(std::string& out, float value, float scale) {
  // NaN compares false with everything and becomes the floor.
  float scaled = value * scale;
  if (!(scaled > -32768.0F)) scaled = -32768.0F;
  scaled = std::min(scaled, 32767.0F);
  put_u16(out, static_cast<std::uint16_t>(static_cast<std::int16_t>(std::lround(scaled))));
}

void put_unsigned(std::string& out, float value, float scale, float most) {
  float scaled = value * scale;
  if (!(scaled > 0.0F)) scaled = 0.0F;
  put_u16(out, static_cast<std::uint16_t>(std::lround(std::min(scaled, most))));
}

}  // namespace

std::string encode_meter_frame(const engine::EngineMetrics& m, std::uint32_t sequence,
                               bool call_active) {
  const int microphones = std::clamp(m.mic_count, 0, engine::kMaxMics);
  std::string out;
  out.reserve(kMeterFrameFixedBytes + 4 * static_cast<std::size_t>(microphones));
  out += '\x01';
  out += '\x01';
  out += static_cast<char>(microphones);
  out += static_cast<char>((m.near_active ? 1 : 0) | (m.far_active ? 2 : 0) | (m.muted ? 4 : 0) |
                           (call_active ? 8 : 0));
  put_u16(out, static_cast<std::uint16_t>(sequence & 0xffff));
  put_u16(out, static_cast<std::uint16_t>(sequence >> 16));
  std::uint32_t clips = 0;
  for (int i = 0; i < microphones; ++i) {
    const auto c = static_cast<std::size_t>(i);
    put_scaled(out, m.mic_rms_db[c], 100.0F);
    put_scaled(out, m.mic_peak_db[c], 100.0F);
    clips += m.mic_clips[c];
  }
  put_scaled(out, m.speaker_rms_db, 100.0F);
  put_scaled(out, m.speaker_peak_db, 100.0F);
  put_scaled(out, m.sent_rms_db, 100.0F);
  put_scaled(out, m.sent_peak_db, 100.0F);
  put_scaled(out, m.erle_db, 100.0F);
  put_scaled(out, m.residual_echo_db, 100.0F);
  put_unsigned(out, m.azimuth_deg, 10.0F, 3600.0F);
  put_scaled(out, m.elevation_deg, 10.0F);
  put_unsigned(out, m.activity, 1000.0F, 1000.0F);
  put_unsigned(out, m.cpu.last_us, 1.0F, 65535.0F);
  put_u16(out, static_cast<std::uint16_t>(clips & 0xffff));
  return out;
}

}  // namespace conclave::control
