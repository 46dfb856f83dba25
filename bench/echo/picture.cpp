// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/picture.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <numbers>

#include "base/frame_view.h"
#include "dsp/transform/real_fft.h"

namespace conclave::bench::echo {
namespace {

constexpr int kColours = 40;
constexpr float kRangeDb = 70;

double mel(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double hertz(double mel_value) { return 700 * (std::pow(10.0, mel_value / 2595) - 1); }

void put32(std::string& to, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(value >> shift & 0xFFU);
}

void chunk(std::string& to, const char* kind, const std::string& data) {
  put32(to, static_cast<std::uint32_t>(data.size()));
  const std::string body = kind + data;
  to += body;
  put32(to, static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(body.data()),
                                             static_cast<uInt>(body.size()))));
}

// Night blue over violet and orange to light yellow: equal steps look equally bright.
std::string palette() {
  constexpr std::array<std::array<double, 3>, 7> kStops{{{9, 9, 26},
                                                         {46, 20, 90},
                                                         {110, 32, 122},
                                                         {178, 52, 110},
                                                         {235, 96, 78},
                                                         {253, 166, 92},
                                                         {252, 240, 190}}};
  std::string colours;
  for (int c = 0; c < kColours; ++c) {
    const double place = static_cast<double>(c) / (kColours - 1) * (kStops.size() - 1);
    const auto low = std::min(static_cast<std::size_t>(place), kStops.size() - 2);
    const double part = place - static_cast<double>(low);
    for (std::size_t i = 0; i < 3; ++i) {
      colours += static_cast<char>(
          std::lround(kStops[low][i] + part * (kStops[low + 1][i] - kStops[low][i])));
    }
  }
  return colours;
}

}  // namespace

Result<Spectrogram> spectrogram(std::span<const float> samples, int rate, int columns, int rows) {
  const int size = rate == 16000 ? 512 : 1024;
  CONCLAVE_TRY(const auto fft, dsp::RealFft::create(size));
  FrameBuffer time(1, size);
  SpectrumBuffer spectrum(1, fft.bins());
  Spectrogram picture{
      columns, rows,
      std::vector<float>(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows))};
  // Edges of the rows in bins; each row holds at least one.
  std::vector<double> edges;
  for (int r = 0; r <= rows; ++r) edges.push_back(hertz(mel(rate / 2.0) * r / rows) * size / rate);
  for (int c = 0; c < columns; ++c) {
    const auto middle =
        static_cast<std::int64_t>((c + 0.5) / columns * static_cast<double>(samples.size()));
    for (int i = 0; i < size; ++i) {
      const std::int64_t at = middle - size / 2 + i;
      const bool inside = at >= 0 && at < std::ssize(samples);
      const double window = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * (i + 0.5) / size);
      time[0][static_cast<std::size_t>(i)] =
          inside ? samples[static_cast<std::size_t>(at)] * static_cast<float>(window) : 0.0F;
    }
    fft.forward(time[0], spectrum[0]);
    for (int r = 0; r < rows; ++r) {
      const auto first = static_cast<std::size_t>(edges[static_cast<std::size_t>(r)]);
      const auto last = std::clamp<std::size_t>(
          static_cast<std::size_t>(std::ceil(edges[static_cast<std::size_t>(r) + 1])), first + 1,
          static_cast<std::size_t>(fft.bins()));
      double power = 0;
      for (std::size_t k = first; k < last; ++k)
        power = std::max(power, std::norm(std::complex<double>(spectrum[0][k])));
      const auto row = static_cast<std::size_t>(rows - 1 - r);
      picture.db[row * static_cast<std::size_t>(columns) + static_cast<std::size_t>(c)] =
          static_cast<float>(10 * std::log10(power / size + 1e-12));
    }
  }
  return picture;
}

float loud_level(const Spectrogram& picture) {
  std::vector<float> sorted = picture.db;
  if (sorted.empty()) return 0;
  const auto place = static_cast<std::ptrdiff_t>(sorted.size() * 199 / 200);
  std::nth_element(sorted.begin(), sorted.begin() + place, sorted.end());
  return sorted[static_cast<std::size_t>(place)];
}

std::string png(const Spectrogram& picture, float top) {
  std::string raw;
  const auto width = static_cast<std::size_t>(picture.columns);
  for (std::size_t r = 0; r < static_cast<std::size_t>(picture.rows); ++r) {
    raw += '\0';  // no filter
    for (std::size_t c = 0; c < width; ++c) {
      const float place = 1 + (picture.db[r * width + c] - top) / kRangeDb;
      raw += static_cast<char>(std::lround(std::clamp(place, 0.0F, 1.0F) * (kColours - 1)));
    }
  }
  uLongf packed_size = compressBound(raw.size());
  std::string packed(packed_size, '\0');
  compress2(reinterpret_cast<Bytef*>(packed.data()), &packed_size,
            reinterpret_cast<const Bytef*>(raw.data()), raw.size(), Z_BEST_COMPRESSION);
  packed.resize(packed_size);
  std::string head;
  put32(head, static_cast<std::uint32_t>(picture.columns));
  put32(head, static_cast<std::uint32_t>(picture.rows));
  head += std::string({8, 3, 0, 0, 0});  // 8 bits, palette
  std::string file = "\x89PNG\r\n\x1a\n";
  chunk(file, "IHDR", head);
  chunk(file, "PLTE", palette());
  chunk(file, "IDAT", packed);
  chunk(file, "IEND", "");
  return file;
}

std::string base64(const std::string& bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8;
      if (i + k < bytes.size()) group |= static_cast<unsigned char>(bytes[i + k]);
    }
    for (std::size_t k = 0; k < 4; ++k)
      text += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63U];
  }
  return text;
}

}  // namespace conclave::bench::echo
