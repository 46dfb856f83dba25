// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::bench::room {

/// Convolves several sources into several outputs with long responses, block by block and without
/// latency: uniformly partitioned overlap-save (Stockham, AFIPS 1966; Wefers, "Partitioned
/// convolution algorithms for real-time auralization", 2015). A source's spectra are made once for
/// all outputs, outputs are transformed back once for all sources, partitions and bins in which a
/// response has less than -85 dB of its strongest bin are left out, and a silent source costs
/// nothing. process() allocates nothing. One thread.
class MatrixConvolver {
 public:
  /// The spectra of one source's responses to all outputs.
  class Filter;
  struct FilterDeleter {
    void operator()(Filter* filter) const;
  };
  using FilterPtr = std::unique_ptr<Filter, FilterDeleter>;

  static Result<std::unique_ptr<MatrixConvolver>> create(int sources, int outputs, int block,
                                                         int max_taps);
  ~MatrixConvolver();
  MatrixConvolver(const MatrixConvolver&) = delete;
  MatrixConvolver& operator=(const MatrixConvolver&) = delete;

  /// One response for each output; samples after max_taps are cut off. Any thread.
  FilterPtr make_filter(std::span<const std::vector<float>> responses) const;
  /// Puts a filter in place; the next block fades over from the one before, which the call after
  /// returns for freeing (null at first).
  FilterPtr set_filter(int source, FilterPtr filter) noexcept;

  /// in: sources x block, out: outputs x block.
  void process(ConstFrameView in, FrameView out) noexcept;

 private:
  class Impl;
  explicit MatrixConvolver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave::bench::room
