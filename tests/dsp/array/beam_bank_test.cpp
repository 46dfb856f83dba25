// SPDX-License-Identifier: Apache-2.0
#include "dsp/array/beam_bank.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/realtime.h"
#include "tests/dsp/array/simulation.h"

namespace conclave::dsp {
namespace {

using Complex = std::complex<float>;

BeamBankConfig config_of(const Geometry& g, int rate) {
  BeamBankConfig c;
  c.geometry = g;
  c.sample_rate = rate;
  c.fft_size = rate == 48000 ? 1024 : 512;
  c.hop = rate / 100;
  return c;
}

/// A plane wave of amplitude 1 in every bin.
void plane_wave(const BeamBankConfig& c, double azimuth, double elevation, SpectrumView out) {
  std::vector<std::complex<double>> a(c.geometry.ring.size());
  for (int k = 0; k < out.frames(); ++k) {
    far_field_steering(c.geometry.ring, direction_vector(azimuth, elevation),
                       static_cast<double>(k) * c.sample_rate / c.fft_size, 343, a);
    for (int m = 0; m < out.channels(); ++m) {
      out[m][static_cast<std::size_t>(k)] = Complex(a[static_cast<std::size_t>(m)]);
    }
  }
}

double mean_gain_db(std::span<const Complex> y, int from, int to) {
  double sum = 0;
  for (int k = from; k < to; ++k) sum += std::norm(y[static_cast<std::size_t>(k)]);
  return 10 * std::log10(sum / (to - from));
}

TEST(BeamBank, passes_the_look_and_rejects_the_side) {
  for (const int rate : {48000, 16000}) {
    const auto c = config_of(simulation::ring(8, 0.09), rate);
    auto bank = BeamBank::create(c).value();
    SpectrumBuffer x(8, c.fft_size / 2 + 1);
    SpectrumBuffer y(1, c.fft_size / 2 + 1);
    plane_wave(c, 40, c.elevation_deg, x);
    bank->process(x, 40, y);
    for (const Complex& v : y[0]) EXPECT_NEAR(std::abs(v - Complex(1)), 0, 1e-3);
    const int k1 = 500 * c.fft_size / rate;
    const int k2 = 3500 * c.fft_size / rate;
    for (const double side : {130.0, 220.0, 310.0}) {
      plane_wave(c, side, 20, x);
      bank->apply(x, y);
      EXPECT_LT(mean_gain_db(y[0], k1, k2), -8) << side;
    }
  }
}

TEST(BeamBank, keeps_white_noise_gain_and_directivity) {
  const auto c = config_of(simulation::ring(8, 0.09), 48000);
  const auto bank = BeamBank::create(c).value();
  for (const int beam : {0, 5, 17}) {
    const BeamWeights w = bank->export_beam(beam);
    ASSERT_EQ(w.weights.size(), 513U * 8);
    for (std::size_t k = 0; k < 513; ++k) {
      const std::span one(w.weights.data() + k * 8, 8);
      EXPECT_GE(white_noise_gain_db(one, c.geometry.ring, w.look, w.frequencies_hz[k], 343), -6.05)
          << w.frequencies_hz[k];
    }
    const auto index = [&](double f) {
      const auto k = static_cast<std::size_t>(std::lround(f * 1024 / 48000));
      return directivity_index_db({w.weights.data() + k * 8, 8}, c.geometry.ring, w.look,
                                  w.frequencies_hz[k], 343);
    };
    EXPECT_GT(index(250), 6.2);
    EXPECT_GT(index(1000), 9.0);
    EXPECT_GT(index(4000), 7.5);
  }
}

TEST(BeamBank, a_talker_beside_the_look_does_not_sound_dull) {
  const auto c = config_of(simulation::ring(8, 0.09), 48000);
  auto bank = BeamBank::create(c).value();
  SpectrumBuffer x(8, 513);
  SpectrumBuffer y(1, 513);
  plane_wave(c, 43, 12, x);  // as far beside a look as hysteresis lets it be, and lower
  bank->process(x, 40, y);
  EXPECT_GT(mean_gain_db(y[0], 2000 * 1024 / 48000, 6000 * 1024 / 48000), -1);
  EXPECT_GT(mean_gain_db(y[0], 6000 * 1024 / 48000, 10000 * 1024 / 48000), -3);
}

TEST(BeamBank, fades_between_beams_and_repeats_it_on_other_spectra) {
  const auto c = config_of(simulation::ring(8, 0.09), 48000);
  auto bank = BeamBank::create(c).value();
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 1);
  SpectrumBuffer x(8, 513);
  for (int m = 0; m < 8; ++m) {
    for (Complex& v : x[m]) v = {normal(random), normal(random)};
  }
  SpectrumBuffer y(1, 513);
  SpectrumBuffer z(1, 513);
  bank->process(x, 0, y);
  std::vector<Complex> last(y[0].begin(), y[0].end());
  const std::vector<Complex> start = last;
  double largest = 0;
  for (int step = 0; step < 6; ++step) {
    realtime::Scope guard;
    bank->process(x, 180, y);
    bank->apply(x, z);
    double change = 0;
    for (std::size_t k = 0; k < 513; ++k) {
      EXPECT_EQ(y[0][k], z[0][k]);
      change += std::norm(y[0][k] - last[k]);
    }
    largest = std::max(largest, change);
    std::copy(y[0].begin(), y[0].end(), last.begin());
  }
  double total = 0;
  for (std::size_t k = 0; k < 513; ++k) total += std::norm(last[k] - start[k]);
  EXPECT_LT(largest, 0.25 * total);  // no step is the whole change
  EXPECT_EQ(bank->metrics().beam, 36);
  EXPECT_EQ(bank->metrics().fade, 1.0F);
  // Small movements of the direction do not move the beam.
  for (int i = 0; i < 20; ++i) bank->process(x, i % 2 == 0 ? 177.0F : 183.0F, y);
  EXPECT_EQ(bank->metrics().beam, 36);
}

TEST(BeamBank, recovers_from_what_is_not_a_number) {
  const auto c = config_of(simulation::ring(8, 0.09), 16000);
  auto bank = BeamBank::create(c).value();
  SpectrumBuffer x(8, 257);
  SpectrumBuffer y(1, 257);
  plane_wave(c, 90, c.elevation_deg, x);
  x[3][40] = {std::numeric_limits<float>::quiet_NaN(), 0};
  x[2][41] = {std::numeric_limits<float>::infinity(), 0};
  bank->process(x, std::numeric_limits<float>::quiet_NaN(), y);
  EXPECT_EQ(y[0][40], Complex(0));
  for (const Complex& v : y[0]) EXPECT_TRUE(std::isfinite(v.real()) && std::isfinite(v.imag()));
  plane_wave(c, 90, c.elevation_deg, x);
  bank->process(x, 90, y);
  EXPECT_NEAR(std::abs(y[0][40]), 1, 1e-3);
}

TEST(BeamBank, one_microphone_is_an_array) {
  const auto c = config_of(simulation::ring(1, 0), 48000);
  auto bank = BeamBank::create(c).value();
  SpectrumBuffer x(1, 513);
  SpectrumBuffer y(1, 513);
  plane_wave(c, 0, 0, x);
  bank->process(x, 123, y);
  for (const Complex& v : y[0]) EXPECT_NEAR(std::abs(v - Complex(1)), 0, 1e-5);
}

TEST(BeamBank, refuses_bad_configurations) {
  auto c = config_of(simulation::ring(8, 0.09), 48000);
  c.beams = 0;
  EXPECT_FALSE(BeamBank::create(c).ok());
  c = config_of(simulation::ring(8, 0.09), 48000);
  c.fft_size = 7;
  EXPECT_FALSE(BeamBank::create(c).ok());
  c = config_of({}, 48000);
  EXPECT_FALSE(BeamBank::create(c).ok());
}

}  // namespace
}  // namespace conclave::dsp
