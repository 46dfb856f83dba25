// SPDX-License-Identifier: Apache-2.0
#include "media/jitter/time_scale.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace conclave::media {
namespace {

constexpr int kMaxCoarse = 512;

double similarity(const float* a, const float* b, int n) {
  double ab = 0, aa = 1e-9, bb = 1e-9;
  for (int i = 0; i < n; ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

/// Raised cosine from 0 to 1: the sum of both halves is 1, so what is alike keeps its level.
float fade_in(int i, int n) {
  constexpr double kPi = 3.14159265358979323846;
  return static_cast<float>(0.5 - 0.5 * std::cos(kPi * (i + 0.5) / n));
}

}  // namespace

double rms(std::span<const float> pcm) noexcept {
  double sum = 0;
  for (const float x : pcm) sum += static_cast<double>(x) * x;
  return pcm.empty() ? 0 : std::sqrt(sum / static_cast<double>(pcm.size()));
}

TimeScale::Match TimeScale::find_period(std::span<const float> pcm, int most) const noexcept {
  const int window = overlap();
  most = std::min({most, longest(), static_cast<int>(pcm.size()) - window});
  if (most < shortest()) return {};

  // First on a signal of a fourth (48 kHz) or half (16 kHz) of the rate, then around the best.
  const int step = sample_rate >= 32000 ? 4 : 2;
  std::array<float, kMaxCoarse> coarse{};
  const int coarse_size = std::min((most + window) / step, kMaxCoarse);
  for (int i = 0; i < coarse_size; ++i) {
    float sum = 0;
    for (int j = 0; j < step; ++j) sum += pcm[static_cast<std::size_t>(i * step + j)];
    coarse[static_cast<std::size_t>(i)] = sum;
  }
  const int coarse_window = window / step;
  int best_coarse = shortest() / step;
  double best = -2;
  for (int lag = shortest() / step; lag + coarse_window <= coarse_size; ++lag) {
    const double s = similarity(coarse.data(), coarse.data() + lag, coarse_window);
    if (s > best) best = s, best_coarse = lag;
  }
  Match match{0, -2};
  const int from = std::max(best_coarse * step - step, shortest());
  const int to = std::min(best_coarse * step + step, most);
  for (int lag = from; lag <= to; ++lag) {
    const double s = similarity(pcm.data(), pcm.data() + lag, window);
    if (s > match.similarity) match = {lag, s};
  }
  return match;
}

TimeScale::Match TimeScale::find_repeat(std::span<const float> history,
                                        std::span<const float> sound) const noexcept {
  const int window = overlap();
  const int most = std::min(longest(), static_cast<int>(history.size()));
  if (most < shortest() || static_cast<int>(sound.size()) < window) return {};
  // The two side by side, so that a comparison may run over the joint.
  std::array<float, 1024> joined{};
  std::copy(history.end() - most, history.end(), joined.begin());
  std::copy_n(sound.begin(), window, joined.begin() + most);
  const float* comes = joined.data() + most;
  Match match{0, -2};
  // Every other lag will do at first: speech has little above 10 kHz that would tell.
  const int step = sample_rate >= 32000 ? 4 : 1;
  for (int lag = shortest(); lag <= most; lag += step) {
    const double s = similarity(comes, comes - lag, window);
    // Of one period and two, the one.
    if (s > match.similarity + 0.01) match = {lag, s};
  }
  const int from = std::max(match.lag - step + 1, shortest());
  const int to = std::min(match.lag + step - 1, most);
  for (int lag = from; lag <= to; ++lag) {
    const double s = similarity(comes, comes - lag, window);
    if (s > match.similarity) match = {lag, s};
  }
  return match;
}

int TimeScale::remove(std::span<float> pcm, int length, int lag) const noexcept {
  const int window = overlap();
  if (lag <= 0 || lag + window > length) return length;
  for (int i = 0; i < window; ++i) {
    const float in = fade_in(i, window);
    float& at = pcm[static_cast<std::size_t>(i)];
    at = at * (1 - in) + pcm[static_cast<std::size_t>(i + lag)] * in;
  }
  std::copy(pcm.begin() + lag + window, pcm.begin() + length, pcm.begin() + window);
  return length - lag;
}

int TimeScale::insert(std::span<float> buffer, int history, int length, int lag) const noexcept {
  const int window = std::min(overlap(), lag);
  if (lag <= 0 || lag > history || window > length ||
      history + length + lag > static_cast<int>(buffer.size())) {
    return length;
  }
  const auto begin = buffer.begin() + history;
  std::copy_backward(begin, begin + length, begin + length + lag);
  // What would have come fades into what came one period ago, which leads up to it again.
  for (int i = 0; i < lag; ++i) {
    const float in = i < window ? fade_in(i, window) : 1.0F;
    *(begin + i) = *(begin + i + lag) * (1 - in) + *(begin + i - lag) * in;
  }
  return length + lag;
}

}  // namespace conclave::media
