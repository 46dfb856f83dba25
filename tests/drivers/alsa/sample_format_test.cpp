// SPDX-License-Identifier: Apache-2.0
#include "drivers/alsa/sample_format.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/realtime.h"

namespace conclave::drivers {
namespace {

struct Case {
  SampleFormat format;
  std::ptrdiff_t bytes;
  double resolution;
};
constexpr std::array<Case, 5> kCases{{{SampleFormat::kFloat, 4, 0},
                                      {SampleFormat::kS32, 4, 0x1p-24},
                                      {SampleFormat::kS24, 4, 0x1p-23},
                                      {SampleFormat::kS24In3, 3, 0x1p-23},
                                      {SampleFormat::kS16, 2, 0x1p-15}}};

TEST(SampleFormat, survives_the_way_there_and_back) {
  std::vector<float> in;
  for (int i = -100; i <= 99; ++i) in.push_back(static_cast<float>(i) / 100.0F);
  for (const Case& c : kCases) {
    std::vector<std::byte> memory(in.size() * static_cast<std::size_t>(c.bytes) * 3);
    std::vector<float> out(in.size());
    {
      const realtime::Scope real_time;
      // Every third sample of interleaved memory.
      samples_from_float(c.format, in, memory.data() + c.bytes, c.bytes * 3);
      samples_to_float(c.format, memory.data() + c.bytes, c.bytes * 3, out);
    }
    for (std::size_t i = 0; i < in.size(); ++i)
      EXPECT_NEAR(in[i], out[i], c.resolution) << sample_format_name(c.format);
    for (std::ptrdiff_t b = 0; b < c.bytes; ++b)
      EXPECT_EQ(memory[static_cast<std::size_t>(b)], std::byte{0});
  }
}

TEST(SampleFormat, too_loud_is_clipped_and_nonsense_is_silence) {
  const std::array<float, 5> in{7.0F, -7.0F, std::numeric_limits<float>::quiet_NaN(),
                                std::numeric_limits<float>::infinity(),
                                -std::numeric_limits<float>::infinity()};
  for (const Case& c : kCases) {
    std::array<std::byte, 20> memory{};
    std::array<float, 5> out{};
    samples_from_float(c.format, in, memory.data(), c.bytes);
    samples_to_float(c.format, memory.data(), c.bytes, out);
    const std::array<float, 5> wanted{1, -1, 0, 1, -1};
    for (std::size_t i = 0; i < in.size(); ++i)
      EXPECT_NEAR(out[i], wanted[i], 0x1p-14) << sample_format_name(c.format) << i;
  }
}

TEST(SampleFormat, a_broken_card_cannot_bring_nan_in) {
  const std::array<float, 2> in{std::numeric_limits<float>::quiet_NaN(),
                                std::numeric_limits<float>::infinity()};
  std::array<float, 2> out{1, 1};
  samples_to_float(SampleFormat::kFloat, reinterpret_cast<const std::byte*>(in.data()), 4, out);
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[1], 0);
}

TEST(SampleFormat, full_scale_is_exact) {
  std::array<std::byte, 2> memory{};
  const std::array<float, 1> low{-1.0F};
  samples_from_float(SampleFormat::kS16, low, memory.data(), 2);
  std::int16_t value = 0;
  std::memcpy(&value, memory.data(), 2);
  EXPECT_EQ(value, -32768);
  // The top byte of 24 bits in four is undefined: it must not leak in.
  const std::uint32_t dirty = 0xab000001;
  std::array<float, 1> out{};
  samples_to_float(SampleFormat::kS24, reinterpret_cast<const std::byte*>(&dirty), 4, out);
  EXPECT_FLOAT_EQ(out[0], 0x1p-23F);
}

}  // namespace
}  // namespace conclave::drivers
