// SPDX-License-Identifier: Apache-2.0
#include "drivers/alsa/sample_format.h"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace conclave::drivers {
namespace {

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

/// Rounds to an integer of `scale` per 1.0, clipped to [-scale, scale - 1]. Double, because a float
/// cannot hold 2^31 - 1.
std::int32_t quantise(float sample, double scale) {
  const double scaled = static_cast<double>(sample) * scale;
  if (!(scaled > -scale)) return std::isnan(scaled) ? 0 : static_cast<std::int32_t>(-scale);
  if (scaled >= scale - 1) return static_cast<std::int32_t>(scale - 1);
  return static_cast<std::int32_t>(std::lrint(scaled));
}

constexpr double kScale16 = 32768.0;
constexpr double kScale24 = 8388608.0;
constexpr double kScale32 = 2147483648.0;

template <typename Convert>
void gather(const std::byte* from, std::ptrdiff_t step, std::span<float> to, Convert convert) {
  for (float& sample : to) {
    sample = convert(from);
    from += step;
  }
}

template <typename Store>
void scatter(std::span<const float> from, std::byte* to, std::ptrdiff_t step, Store store) {
  for (const float sample : from) {
    store(sample, to);
    to += step;
  }
}

template <typename T>
void put(T value, std::byte* to) {
  std::memcpy(to, &value, sizeof(T));
}

}  // namespace

const char* sample_format_name(SampleFormat format) noexcept {
  switch (format) {
    case SampleFormat::kFloat:
      return "float";
    case SampleFormat::kS32:
      return "S32";
    case SampleFormat::kS24:
      return "S24";
    case SampleFormat::kS24In3:
      return "S24 in 3 bytes";
    case SampleFormat::kS16:
      return "S16";
  }
  return "?";
}

void samples_to_float(SampleFormat format, const std::byte* from, std::ptrdiff_t step,
                      std::span<float> to) noexcept {
  switch (format) {
    case SampleFormat::kFloat:
      // A card has no NaN; a broken plugin may, and one NaN would poison every filter behind.
      gather(from, step, to, [](const std::byte* p) {
        const auto value = load<float>(p);
        return std::isfinite(value) ? value : 0.0F;
      });
      return;
    case SampleFormat::kS32:
      gather(from, step, to, [](const std::byte* p) {
        return static_cast<float>(load<std::int32_t>(p)) * static_cast<float>(1.0 / kScale32);
      });
      return;
    case SampleFormat::kS24:
      gather(from, step, to, [](const std::byte* p) {
        // The top byte is undefined: shift it out, and back with the sign.
        const auto word = static_cast<std::int32_t>(load<std::uint32_t>(p) << 8);
        return static_cast<float>(word) * static_cast<float>(1.0 / kScale32);
      });
      return;
    case SampleFormat::kS24In3:
      gather(from, step, to, [](const std::byte* p) {
        const std::uint32_t word = std::to_integer<std::uint32_t>(p[0]) << 8 |
                                   std::to_integer<std::uint32_t>(p[1]) << 16 |
                                   std::to_integer<std::uint32_t>(p[2]) << 24;
        return static_cast<float>(static_cast<std::int32_t>(word)) *
               static_cast<float>(1.0 / kScale32);
      });
      return;
    case SampleFormat::kS16:
      gather(from, step, to, [](const std::byte* p) {
        return static_cast<float>(load<std::int16_t>(p)) * static_cast<float>(1.0 / kScale16);
      });
      return;
  }
}

void samples_from_float(SampleFormat format, std::span<const float> from, std::byte* to,
                        std::ptrdiff_t step) noexcept {
  switch (format) {
    case SampleFormat::kFloat:
      scatter(from, to, step, [](float sample, std::byte* p) {
        const float low = sample > -1.0F ? sample : -1.0F;
        put(std::isnan(sample) ? 0.0F : (low < 1.0F ? low : 1.0F), p);
      });
      return;
    case SampleFormat::kS32:
      scatter(from, to, step,
              [](float sample, std::byte* p) { put(quantise(sample, kScale32), p); });
      return;
    case SampleFormat::kS24:
      scatter(from, to, step,
              [](float sample, std::byte* p) { put(quantise(sample, kScale24), p); });
      return;
    case SampleFormat::kS24In3:
      scatter(from, to, step, [](float sample, std::byte* p) {
        const auto word = static_cast<std::uint32_t>(quantise(sample, kScale24));
        p[0] = static_cast<std::byte>(word & 0xff);
        p[1] = static_cast<std::byte>(word >> 8 & 0xff);
        p[2] = static_cast<std::byte>(word >> 16 & 0xff);
      });
      return;
    case SampleFormat::kS16:
      scatter(from, to, step, [](float sample, std::byte* p) {
        put(static_cast<std::int16_t>(quantise(sample, kScale16)), p);
      });
      return;
  }
}

}  // namespace conclave::drivers
