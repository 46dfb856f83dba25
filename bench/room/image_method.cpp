// SPDX-License-Identifier: Apache-2.0
#include "bench/room/image_method.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>

#include "bench/room/random.h"
#include "bench/room/sinc.h"

namespace conclave::bench::room {
namespace {

constexpr int kHalf = 16;
constexpr double kImageShift = 0.04;  // metres
constexpr double kHighFrom = 4000.0;  // Hz
constexpr double kLowest = 40.0;      // Hz

/// Calls visit(position, reflections, key) for each image within `reach` of the box's `near` point.
template <typename Visit>
void for_each_image(Point size, Point source, Point near, double reach, Visit visit) {
  const int nx = static_cast<int>(reach / (2 * size.x)) + 1;
  const int ny = static_cast<int>(reach / (2 * size.y)) + 1;
  const int nz = static_cast<int>(reach / (2 * size.z)) + 1;
  const double reach2 = reach * reach;
  for (int x = -nx; x <= nx; ++x) {
    for (int y = -ny; y <= ny; ++y) {
      for (int z = -nz; z <= nz; ++z) {
        for (int parity = 0; parity < 8; ++parity) {
          const int px = parity & 1;
          const int py = parity >> 1 & 1;
          const int pz = parity >> 2;
          const Point at{2 * x * size.x + (px != 0 ? -source.x : source.x),
                         2 * y * size.y + (py != 0 ? -source.y : source.y),
                         2 * z * size.z + (pz != 0 ? -source.z : source.z)};
          const Point d = at - near;
          if (d.x * d.x + d.y * d.y + d.z * d.z > reach2) continue;
          const int reflections = std::abs(x - px) + std::abs(x) + std::abs(y - py) + std::abs(y) +
                                  std::abs(z - pz) + std::abs(z);
          const auto key = static_cast<std::uint64_t>(
              (((x + 512) * 1024 + y + 512) * 1024 + z + 512) * 8LL + parity);
          visit(at, reflections, key);
        }
      }
    }
  }
}

/// T from the -5 .. -25 dB stretch of a backward-integrated energy curve.
double decay_time(std::span<const double> energy, double step_seconds) {
  std::vector<double> curve(energy.size());
  double sum = 0;
  for (std::size_t i = energy.size(); i-- > 0;) curve[i] = (sum += energy[i]);
  if (sum <= 0) return 0;
  double n = 0;
  double sx = 0;
  double sy = 0;
  double sxx = 0;
  double sxy = 0;
  for (std::size_t i = 0; i < curve.size(); ++i) {
    if (curve[i] <= 0) break;
    const double db = 10 * std::log10(curve[i] / sum);
    if (db > -5) continue;
    if (db < -25) break;
    const double t = static_cast<double>(i) * step_seconds;
    n += 1;
    sx += t;
    sy += db;
    sxx += t * t;
    sxy += t * db;
  }
  const double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  return n < 3 || !(slope < 0) ? 0 : -60 / slope;
}

}  // namespace

double reverberation_time(std::span<const float> response, int sample_rate) {
  std::vector<double> energy(response.size());
  for (std::size_t i = 0; i < energy.size(); ++i)
    energy[i] = static_cast<double>(response[i]) * static_cast<double>(response[i]);
  return decay_time(energy, 1.0 / sample_rate);
}

Shoebox::Shoebox(const Scene& scene)
    : size_(scene.size),
      array_at_(scene.array_at),
      rt60_(scene.rt60),
      rt60_high_(std::min(scene.rt60_high, scene.rt60)),
      speed_of_sound_(scene.speed_of_sound),
      sample_rate_(scene.sample_rate),
      seed_(scene.seed),
      tail_seconds_(scene.rt60 * 1.05 + 0.02) {
  if (rt60_ > 0) solve_reflection();
}

void Shoebox::solve_reflection() {
  // Energy by number of reflections and by time, for one representative pair of places well apart.
  constexpr double kStep = 0.002;
  const Point source{size_.x * 0.29, size_.y * 0.33, size_.z * 0.45};
  const Point near{size_.x * 0.71, size_.y * 0.62, size_.z * 0.36};
  struct Image {
    int bin;
    int reflections;
    double energy;
  };
  std::vector<Image> images;
  int most = 0;
  const double reach = tail_seconds_ * speed_of_sound_;
  for_each_image(size_, source, near, reach, [&](Point at, int reflections, std::uint64_t) {
    const double d = distance(at, near);
    images.push_back(
        {static_cast<int>(d / speed_of_sound_ / kStep), reflections, 1 / std::max(d * d, 1e-4)});
    most = std::max(most, reflections);
  });
  std::vector<double> power(static_cast<std::size_t>(most) + 1);
  std::vector<double> energy(static_cast<std::size_t>(tail_seconds_ / kStep) + 2);
  double low = 0.05;
  double high = 0.999;
  for (int step = 0; step < 14; ++step) {
    const double middle = (low + high) / 2;
    double p = 1;
    for (double& value : power) {
      value = p;
      p *= middle * middle;
    }
    std::fill(energy.begin(), energy.end(), 0.0);
    for (const Image& image : images) {
      energy[static_cast<std::size_t>(image.bin)] +=
          image.energy * power[static_cast<std::size_t>(image.reflections)];
    }
    (decay_time(energy, kStep) > rt60_ ? high : low) = middle;
  }
  reflection_ = (low + high) / 2;
}

std::vector<Response> Shoebox::responses(Point source, std::span<const Point> microphones, int lead,
                                         double gain) const {
  static const SincTable kTable(kHalf, 1024, 1.0, 6.0);
  const Point at = source + array_at_;
  double furthest = 0;
  for (const Point m : microphones) furthest = std::max(furthest, distance(source, m));
  const double reach = furthest + tail_seconds_ * speed_of_sound_;
  const double per_metre = sample_rate_ / speed_of_sound_;
  // A microphone nearer than half the kernel hears the kernel's start cut off without this.
  const int early = std::max(0, kHalf - lead);
  const auto length = static_cast<std::size_t>(
      early + lead + static_cast<int>(std::ceil(reach * per_metre)) + kHalf);
  std::vector<Response> result(microphones.size(), Response(length));
  std::vector<double> power{1.0};
  for_each_image(size_, at, array_at_, rt60_ > 0 ? reach : furthest + 0.01,
                 [&](Point image, int reflections, std::uint64_t key) {
                   if (rt60_ <= 0 && reflections > 0) return;
                   while (power.size() <= static_cast<std::size_t>(reflections))
                     power.push_back(power.back() * reflection_);
                   if (reflections >= 2) {
                     Random random(key * 0x100000001b3U ^ seed_);
                     const double x = random.uniform(-kImageShift, kImageShift);
                     const double y = random.uniform(-kImageShift, kImageShift);
                     image = image + Point{x, y, random.uniform(-kImageShift, kImageShift)};
                   }
                   const double strength = gain * power[static_cast<std::size_t>(reflections)];
                   for (std::size_t m = 0; m < microphones.size(); ++m) {
                     const double d = std::max(0.01, distance(image, array_at_ + microphones[m]));
                     const double delay = d * per_metre + lead + early;
                     const auto base = static_cast<std::int64_t>(delay);
                     const std::int64_t first = base + 1 - kHalf;
                     if (first < 0 || first + 2 * kHalf > static_cast<std::int64_t>(length))
                       continue;
                     const float* taps = kTable.nearest(delay - static_cast<double>(base)).data();
                     const auto amplitude = static_cast<float>(strength / d);
                     float* out = &result[m][static_cast<std::size_t>(first)];
                     for (int i = 0; i < 2 * kHalf; ++i) out[i] += amplitude * taps[i];
                   }
                 });

  const double pole = std::exp(-2 * std::numbers::pi * kHighFrom / sample_rate_);
  const double faster =
      rt60_ > 0 ? std::log(1000.0) * (1 / rt60_high_ - 1 / rt60_) / sample_rate_ : 0;
  const double w = std::tan(std::numbers::pi * kLowest / sample_rate_);
  const double norm = 1 / (1 + std::numbers::sqrt2 * w + w * w);
  const double a1 = 2 * (w * w - 1) * norm;
  const double a2 = (1 - std::numbers::sqrt2 * w + w * w) * norm;
  for (Response& response : result) {
    double smooth = 0;
    double x1 = 0;
    double x2 = 0;
    double y1 = 0;
    double y2 = 0;
    const int start = lead + early;
    for (std::size_t n = 0; n < length; ++n) {
      // What the walls and the air take from the high band in the time since the pulse.
      const double x = static_cast<double>(response[n]);
      smooth += (1 - pole) * (x - smooth);
      const double age = std::max(0.0, static_cast<double>(n) - start);
      const double y0 = smooth + (x - smooth) * std::exp(-faster * age);
      const double y = norm * (y0 - 2 * x1 + x2) - a1 * y1 - a2 * y2;
      x2 = x1;
      x1 = y0;
      y2 = y1;
      y1 = y;
      response[n] = static_cast<float>(y);
    }
    if (early > 0) response.erase(response.begin(), response.begin() + early);
  }
  return result;
}

}  // namespace conclave::bench::room
