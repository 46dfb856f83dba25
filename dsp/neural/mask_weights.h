// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

namespace conclave::dsp {

/// The file dsp/neural/mask_weights.bin, which the build puts into the program. Its form:
/// tools/training/export.py. Its licence and origin: dsp/neural/mask_weights.md.
std::span<const std::uint8_t> mask_weights() noexcept;

}  // namespace conclave::dsp
