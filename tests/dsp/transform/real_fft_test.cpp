// SPDX-License-Identifier: Apache-2.0
#include "dsp/transform/real_fft.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <random>
#include <thread>
#include <vector>

#include "base/frame_view.h"
#include "base/realtime.h"

namespace conclave::dsp {
namespace {

std::vector<float> noise(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> x(static_cast<std::size_t>(count));
  for (float& v : x) v = uniform(random);
  return x;
}

TEST(RealFft, equals_the_definition) {
  for (const int size : {2, 6, 64, 480}) {
    const RealFft fft = RealFft::create(size).value();
    const auto x = noise(size, 1);
    std::vector<std::complex<float>> spectrum(static_cast<std::size_t>(fft.bins()));
    fft.forward(x, spectrum);
    for (int k = 0; k < fft.bins(); ++k) {
      std::complex<double> sum = 0;
      for (int n = 0; n < size; ++n) {
        sum += static_cast<double>(x[static_cast<std::size_t>(n)]) *
               std::polar(1.0, -2 * std::numbers::pi * k * n / size);
      }
      EXPECT_LT(std::abs(sum - std::complex<double>(spectrum[static_cast<std::size_t>(k)])),
                1e-5 * size);
    }
  }
}

TEST(RealFft, inverse_returns_the_input_and_keeps_the_spectrum) {
  for (const int size : {64, 128, 256, 320, 512, 960, 1024, 2048, 4096, 16384}) {
    const RealFft fft = RealFft::create(size).value();
    const auto x = noise(size, 2);
    std::vector<std::complex<float>> spectrum(static_cast<std::size_t>(fft.bins()));
    std::vector<float> back(x.size());
    {
      realtime::Scope scope;
      fft.forward(x, spectrum);
      fft.inverse(spectrum, back);
    }
    const auto before = spectrum;
    fft.inverse(spectrum, back);
    EXPECT_EQ(before, spectrum);
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], back[i], 2e-6) << size;
  }
}

TEST(RealFft, memory_on_any_boundary_gives_nearly_the_same) {
  const RealFft fft = RealFft::create(512).value();
  FrameBuffer in(1, 600);
  SpectrumBuffer a(1, 300);
  SpectrumBuffer b(1, 300);
  const auto x = noise(512, 3);
  std::copy(x.begin(), x.end(), in.data());
  fft.forward(in[0].subspan(0, 512), a[0].subspan(0, 257));
  std::copy(x.begin(), x.end(), in.data() + 1);
  fft.forward(in[0].subspan(1, 512), b[0].subspan(1, 257));
  for (std::size_t k = 0; k < 257; ++k) EXPECT_LT(std::abs(a[0][k] - b[0][k + 1]), 1e-4);
}

TEST(RealFft, two_of_them_agree_to_the_bit) {
  const auto x = noise(1024, 4);
  std::vector<std::complex<float>> a(513);
  std::vector<std::complex<float>> b(513);
  RealFft::create(1024).value().forward(x, a);
  RealFft::create(1024).value().forward(x, b);
  EXPECT_EQ(a, b);
}

TEST(RealFft, plans_are_made_on_many_threads) {
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(RealFft::create(64 << ((t + i) % 5)).ok());
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(RealFft, refuses_bad_sizes) {
  for (const int size : {-2, 0, 1, 7, (1 << 20) + 2}) EXPECT_FALSE(RealFft::create(size).ok());
  EXPECT_EQ(fft_size_for_hop(480), 1024);
  EXPECT_EQ(fft_size_for_hop(160), 512);
}

}  // namespace
}  // namespace conclave::dsp
