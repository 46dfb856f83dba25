// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "engine/metrics.h"

namespace conclave::control {

inline constexpr std::size_t kMeterFrameFixedBytes = 30;  ///< and 4 for each microphone

/// The binary meter frame of conclave.v1, little-endian: u8 type 1, u8 version 1, u8 microphones,
/// u8 flags (1 near active, 2 far active, 4 muted, 8 call active), u32 sequence; for each
/// microphone i16 rms, i16 peak in 1/100 dBFS; i16 speaker rms, peak; i16 sent rms, peak; i16 ERLE
/// in 1/100 dB; i16 residual echo in 1/100 dBFS; u16 azimuth, i16 elevation in 1/10 degree; u16
/// activity 0..1000; u16 CPU microseconds of the last block; u16 low bits of the clip count.
std::string encode_meter_frame(const engine::EngineMetrics& metrics, std::uint32_t sequence,
                               bool call_active);

}  // namespace conclave::control
