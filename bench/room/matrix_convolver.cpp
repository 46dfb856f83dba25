// SPDX-License-Identifier: Apache-2.0
#include "bench/room/matrix_convolver.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <complex>
#include <utility>

#include "dsp/transform/real_fft.h"

namespace conclave::bench::room {
namespace {

constexpr float kNegligible = 3.2e-9F;  // power: -85 dB

/// Split real and imaginary parts: the inner loop is then plain multiply-add.
void split(std::span<const std::complex<float>> from, std::span<float> re, std::span<float> im) {
  for (std::size_t k = 0; k < from.size(); ++k) {
    re[k] = from[k].real();
    im[k] = from[k].imag();
  }
}

}  // namespace

class MatrixConvolver::Filter {
 public:
  FrameBuffer spectra;    // (partition, output, re/im) x bins
  std::vector<int> used;  // bins worth computing in each partition; 0: none
};
void MatrixConvolver::FilterDeleter::operator()(Filter* filter) const { delete filter; }

class MatrixConvolver::Impl {
 public:
  struct Source {
    FrameBuffer history;  // 1 x 2 blocks, time
    FrameBuffer line;     // (partition, re/im) x bins
    FilterPtr filter;
    FilterPtr before;  // fades out in the next block
    bool fading = false;
    int silent_blocks = 1 << 20;
  };

  Impl(dsp::RealFft transform, int sources, int outputs_in, int block_in, int max_taps)
      : fft(std::move(transform)),
        outputs(outputs_in),
        block(block_in),
        bins(block_in + 1),
        partitions((max_taps + block_in - 1) / block_in),
        spectrum(1, bins),
        sum(2 * outputs_in, bins),
        time(1, 2 * block_in),
        other(outputs_in, block_in) {
    line.resize(static_cast<std::size_t>(sources));
    for (Source& source : line) {
      source.history = FrameBuffer(1, 2 * block);
      source.line = FrameBuffer(2 * partitions, bins);
    }
  }

  void accumulate(const Source& source, const Filter& filter) noexcept {
    const int count = static_cast<int>(filter.used.size());
    for (int p = 0; p < count; ++p) {
      const int n = filter.used[static_cast<std::size_t>(p)];
      if (n == 0) continue;
      int slot = newest - p;
      if (slot < 0) slot += partitions;
      const float* const xr = source.line.view()[2 * slot].data();
      const float* const xi = source.line.view()[2 * slot + 1].data();
      for (int m = 0; m < outputs; ++m) {
        const float* const hr = filter.spectra.view()[2 * (p * outputs + m)].data();
        const float* const hi = filter.spectra.view()[2 * (p * outputs + m) + 1].data();
        float* __restrict__ const yr = sum[2 * m].data();
        float* __restrict__ const yi = sum[2 * m + 1].data();
        for (int k = 0; k < n; ++k) {
          yr[k] += xr[k] * hr[k] - xi[k] * hi[k];
          yi[k] += xr[k] * hi[k] + xi[k] * hr[k];
        }
      }
    }
  }

  void back(FrameView out) noexcept {
    const float scale = 1.0F / static_cast<float>(2 * block);
    for (int m = 0; m < outputs; ++m) {
      const auto re = sum[2 * m];
      const auto im = sum[2 * m + 1];
      const auto bin = spectrum[0];
      for (std::size_t k = 0; k < bin.size(); ++k) bin[k] = {re[k], im[k]};
      fft.inverse_unscaled(bin, time[0]);
      const auto second = time[0].subspan(static_cast<std::size_t>(block));
      const auto to = out[m];
      for (std::size_t i = 0; i < to.size(); ++i) to[i] = second[i] * scale;
    }
  }

  dsp::RealFft fft;
  int outputs;
  int block;
  int bins;
  int partitions;
  int newest = 0;
  std::vector<Source> line;
  SpectrumBuffer spectrum;
  FrameBuffer sum;  // (output, re/im) x bins
  FrameBuffer time;
  FrameBuffer other;
};

MatrixConvolver::MatrixConvolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MatrixConvolver::~MatrixConvolver() = default;

Result<std::unique_ptr<MatrixConvolver>> MatrixConvolver::create(int sources, int outputs,
                                                                 int block, int max_taps) {
  if (sources < 1 || outputs < 1 || block < 1 || max_taps < 1)
    return Error{"convolver: sources, outputs, block and taps must be at least 1"};
  CONCLAVE_TRY(auto fft, dsp::RealFft::create(2 * block));
  return std::unique_ptr<MatrixConvolver>(new MatrixConvolver(
      std::make_unique<Impl>(std::move(fft), sources, outputs, block, max_taps)));
}

MatrixConvolver::FilterPtr MatrixConvolver::make_filter(
    std::span<const std::vector<float>> responses) const {
  const Impl& self = *impl_;
  assert(static_cast<int>(responses.size()) == self.outputs);
  std::size_t longest = 1;
  for (const auto& response : responses) longest = std::max(longest, response.size());
  const auto block = static_cast<std::size_t>(self.block);
  const int partitions = static_cast<int>(std::min<std::size_t>(
      (longest + block - 1) / block, static_cast<std::size_t>(self.partitions)));
  FilterPtr filter(new Filter);
  filter->spectra = FrameBuffer(partitions * self.outputs * 2, self.bins);
  FrameBuffer time(1, 2 * self.block);
  SpectrumBuffer spectrum(1, self.bins);
  FrameBuffer power(partitions, self.bins);
  float strongest = 0;
  for (int p = 0; p < partitions; ++p) {
    for (int m = 0; m < self.outputs; ++m) {
      const auto& response = responses[static_cast<std::size_t>(m)];
      time.clear();
      const std::size_t first = static_cast<std::size_t>(p) * block;
      if (first < response.size()) {
        const std::size_t count = std::min(block, response.size() - first);
        std::copy_n(response.begin() + static_cast<std::ptrdiff_t>(first), count, time.data());
      }
      self.fft.forward(time[0], spectrum[0]);
      const int row = 2 * (p * self.outputs + m);
      split(spectrum[0], filter->spectra[row], filter->spectra[row + 1]);
      for (int k = 0; k < self.bins; ++k) {
        const auto bin = static_cast<std::size_t>(k);
        power[p][bin] = std::max(power[p][bin], std::norm(spectrum[0][bin]));
        strongest = std::max(strongest, power[p][bin]);
      }
    }
  }
  for (int p = 0; p < partitions; ++p) {
    int used = self.bins;
    while (used > 0 && power[p][static_cast<std::size_t>(used - 1)] <= strongest * kNegligible)
      --used;
    filter->used.push_back(std::min(self.bins, (used + 15) / 16 * 16));
  }
  return filter;
}

MatrixConvolver::FilterPtr MatrixConvolver::set_filter(int source, FilterPtr filter) noexcept {
  Impl::Source& s = impl_->line[static_cast<std::size_t>(source)];
  std::swap(s.before, s.filter);
  std::swap(s.filter, filter);
  s.fading = s.before != nullptr;
  return filter;
}

void MatrixConvolver::process(ConstFrameView in, FrameView out) noexcept {
  Impl& self = *impl_;
  assert(in.frames() == self.block && out.channels() == self.outputs);
  if (++self.newest == self.partitions) self.newest = 0;
  bool fading = false;
  for (std::size_t s = 0; s < self.line.size(); ++s) {
    Impl::Source& source = self.line[s];
    const auto fresh = in[static_cast<int>(s)];
    const bool silent = std::all_of(fresh.begin(), fresh.end(), [](float x) { return x == 0.0F; });
    source.silent_blocks = silent ? std::min(source.silent_blocks + 1, 1 << 20) : 0;
    fading = fading || source.fading;
    const auto history = source.history[0];
    const auto block = static_cast<std::ptrdiff_t>(self.block);
    std::copy(history.begin() + block, history.end(), history.begin());
    std::copy(fresh.begin(), fresh.end(), history.begin() + block);
    const int row = 2 * self.newest;
    if (source.silent_blocks > 1) {
      std::fill_n(source.line[row].begin(), self.bins, 0.0F);
      std::fill_n(source.line[row + 1].begin(), self.bins, 0.0F);
    } else {
      self.fft.forward(history, self.spectrum[0]);
      split(self.spectrum[0], source.line[row], source.line[row + 1]);
    }
  }
  const auto run = [&](bool before, FrameView to) {
    self.sum.clear();
    for (const Impl::Source& source : self.line) {
      const Filter* filter = before && source.fading ? source.before.get() : source.filter.get();
      if (filter != nullptr && source.silent_blocks <= self.partitions + 1)
        self.accumulate(source, *filter);
    }
    self.back(to);
  };
  run(false, out);
  if (!fading) return;
  run(true, self.other);
  for (int m = 0; m < self.outputs; ++m) {
    const auto to = out[m];
    const auto from = self.other[m];
    for (std::size_t i = 0; i < to.size(); ++i) {
      const float weight = static_cast<float>(i) / static_cast<float>(self.block);
      to[i] = from[i] + weight * (to[i] - from[i]);
    }
  }
  for (Impl::Source& source : self.line) source.fading = false;
}

}  // namespace conclave::bench::room
