// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace conclave::drivers {

/// The sample formats of sound cards that Conclave speaks; all little-endian.
enum class SampleFormat {
  kFloat,
  kS32,
  kS24,     ///< 24 bits in the low three of four bytes
  kS24In3,  ///< 24 bits in three bytes
  kS16,
};

const char* sample_format_name(SampleFormat format) noexcept;

/// One channel between a card's memory and floats of full scale +-1.0. `step` is the distance of
/// two samples of the channel in bytes. Out-of-range floats are clipped, NaN becomes 0. Any thread,
/// no allocation.
void samples_to_float(SampleFormat format, const std::byte* from, std::ptrdiff_t step,
                      std::span<float> to) noexcept;
void samples_from_float(SampleFormat format, std::span<const float> from, std::byte* to,
                        std::ptrdiff_t step) noexcept;

}  // namespace conclave::drivers
