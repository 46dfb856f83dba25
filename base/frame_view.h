// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <complex>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <type_traits>

namespace conclave {

/// A view of a block of audio: `channels` rows of `frames` samples, planar, rows `stride` apart.
/// Samples are float with full scale +-1.0. Views are cheap to copy and own nothing.
template <typename T>
class BasicFrameView {
 public:
  BasicFrameView() = default;
  BasicFrameView(T* data, int channels, int frames, int stride)
      : data_(data), channels_(channels), frames_(frames), stride_(stride) {
    assert(channels >= 0 && frames >= 0 && stride >= frames);
  }
  BasicFrameView(T* data, int channels, int frames)
      : BasicFrameView(data, channels, frames, frames) {}
  /// One channel.
  BasicFrameView(std::span<T> row) : BasicFrameView(row.data(), 1, static_cast<int>(row.size())) {}
  /// A writable view is also a read-only one.
  template <typename U>
  requires(std::is_const_v<T>&& std::is_same_v<const U, T>)
      BasicFrameView(const BasicFrameView<U>& other)
      : BasicFrameView(other.data(), other.channels(), other.frames(), other.stride()) {}

  T* data() const { return data_; }
  int channels() const { return channels_; }
  int frames() const { return frames_; }
  int stride() const { return stride_; }
  bool empty() const { return channels_ == 0 || frames_ == 0; }

  std::span<T> channel(int c) const {
    assert(c >= 0 && c < channels_);
    return {data_ + static_cast<std::ptrdiff_t>(c) * stride_, static_cast<std::size_t>(frames_)};
  }
  std::span<T> operator[](int c) const { return channel(c); }

  /// Channels [first, first + count).
  BasicFrameView rows(int first, int count) const {
    assert(first >= 0 && count >= 0 && first + count <= channels_);
    return {data_ + static_cast<std::ptrdiff_t>(first) * stride_, count, frames_, stride_};
  }
  /// Samples [first, first + count) of each channel.
  BasicFrameView columns(int first, int count) const {
    assert(first >= 0 && count >= 0 && first + count <= frames_);
    return {data_ + first, channels_, count, stride_};
  }

 private:
  T* data_ = nullptr;
  int channels_ = 0;
  int frames_ = 0;
  int stride_ = 0;
};

using FrameView = BasicFrameView<float>;
using ConstFrameView = BasicFrameView<const float>;

/// One-sided spectra: `channels` rows of `frames` (here: bins) complex values.
using SpectrumView = BasicFrameView<std::complex<float>>;
using ConstSpectrumView = BasicFrameView<const std::complex<float>>;

/// Owned planar memory for a view; every row starts on a 64-byte boundary. Allocates in the
/// constructor only. Zero-filled.
template <typename T>
class BasicFrameBuffer {
 public:
  BasicFrameBuffer() = default;
  BasicFrameBuffer(int channels, int frames)
      : channels_(channels), frames_(frames), stride_(round_up(frames)) {
    const std::size_t count =
        static_cast<std::size_t>(channels_) * static_cast<std::size_t>(stride_);
    const std::size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
    data_.reset(static_cast<T*>(std::aligned_alloc(64, bytes == 0 ? 64 : bytes)));
    std::uninitialized_value_construct_n(data_.get(), count);
  }

  BasicFrameView<T> view() { return {data_.get(), channels_, frames_, stride_}; }
  BasicFrameView<const T> view() const { return {data_.get(), channels_, frames_, stride_}; }
  operator BasicFrameView<T>() { return view(); }
  operator BasicFrameView<const T>() const { return view(); }
  std::span<T> operator[](int c) { return view().channel(c); }
  std::span<const T> operator[](int c) const { return view().channel(c); }
  int channels() const { return channels_; }
  int frames() const { return frames_; }
  int stride() const { return stride_; }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  void clear() {
    for (std::ptrdiff_t i = 0, n = static_cast<std::ptrdiff_t>(channels_) * stride_; i < n; ++i) {
      data_.get()[i] = T{};
    }
  }

 private:
  static_assert(std::is_trivially_destructible_v<T>);
  static constexpr int kRow = 64 / static_cast<int>(sizeof(T));
  static int round_up(int n) { return (n + kRow - 1) / kRow * kRow; }
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  int channels_ = 0;
  int frames_ = 0;
  int stride_ = 0;
};

using FrameBuffer = BasicFrameBuffer<float>;
using SpectrumBuffer = BasicFrameBuffer<std::complex<float>>;

/// Copies what both hold; shapes must agree.
template <typename T>
void copy(BasicFrameView<const T> from, BasicFrameView<T> to) {
  assert(from.channels() == to.channels() && from.frames() == to.frames());
  for (int c = 0; c < from.channels(); ++c) {
    for (int i = 0; i < from.frames(); ++i)
      to[c][static_cast<std::size_t>(i)] = from[c][static_cast<std::size_t>(i)];
  }
}

}  // namespace conclave
