// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::drivers {

/// What a recording must be to be read; 0 = any.
struct AudioFileExpectation {
  int channels = 0;
  int sample_rate = 0;
};

/// Reads WAV or FLAC, 16/24/32-bit or float, 16 or 48 kHz, as planar float.
///
/// open() looks through the whole file once, so that a recording that is cut short or holds samples
/// that are not numbers is refused before anything is made of it; errors name the file and, for a
/// bad sample, its channel and second. One thread at a time.
class AudioFileReader {
 public:
  static Result<std::unique_ptr<AudioFileReader>> open(const std::string& path,
                                                       AudioFileExpectation expected = {});
  ~AudioFileReader();
  AudioFileReader(const AudioFileReader&) = delete;
  AudioFileReader& operator=(const AudioFileReader&) = delete;

  const std::string& path() const;
  int channels() const;
  int sample_rate() const;
  std::int64_t frames() const;

  /// Fills the view's columns with the next samples of the first view.channels() channels; zeros
  /// behind the end. Returns how many came from the file: less than asked for at its end. -1 when
  /// the file cannot be read any more (it changed or its disk failed since open()).
  int read(FrameView out) noexcept;

 private:
  struct State;
  explicit AudioFileReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Writes 32-bit float WAV, or 24-bit FLAC when the path ends in .flac. The bytes depend on the
/// samples alone (no time stamps). One thread at a time.
class AudioFileWriter {
 public:
  static Result<std::unique_ptr<AudioFileWriter>> create(const std::string& path, int channels,
                                                         int sample_rate);
  ~AudioFileWriter();
  AudioFileWriter(const AudioFileWriter&) = delete;
  AudioFileWriter& operator=(const AudioFileWriter&) = delete;

  /// False when the disk is full or gone; finish() then tells.
  bool write(ConstFrameView in) noexcept;
  /// Flushes and closes; the error of this or of an earlier write. Without it, the destructor
  /// closes.
  Status finish();

 private:
  struct State;
  explicit AudioFileWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace conclave::drivers
