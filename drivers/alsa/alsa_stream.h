// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <alsa/asoundlib.h>

#include <cstdint>
#include <string>

#include "base/frame_view.h"
#include "base/result.h"
#include "drivers/alsa/sample_format.h"

namespace conclave::drivers {

/// One direction of an ALSA PCM by mmap access, non-blocking. Calls into alsa-lib lift the
/// real-time mark; negative results are ALSA's -errno.
class AlsaStream {
 public:
  struct Request {
    std::string pcm;
    snd_pcm_stream_t direction = SND_PCM_STREAM_CAPTURE;
    int channels = 1;
    int sample_rate = 48000;
    int period_frames = 480;
    int buffer_frames = 1440;  ///< wished; the card's answer is buffer_frames()
  };

  AlsaStream() = default;
  AlsaStream(const AlsaStream&) = delete;
  AlsaStream& operator=(const AlsaStream&) = delete;
  ~AlsaStream() { close(); }

  /// Opens and configures. On failure `last_error()` is ALSA's code.
  Status open(const Request& request);
  void close() noexcept;
  bool is_open() const noexcept { return pcm_ != nullptr; }
  int last_error() const noexcept { return last_error_; }

  snd_pcm_t* pcm() const noexcept { return pcm_; }
  int channels() const noexcept { return request_.channels; }
  int buffer_frames() const noexcept { return buffer_frames_; }
  SampleFormat sample_format() const noexcept { return format_; }
  std::string describe() const;

  int prepare() noexcept;
  int start() noexcept;
  void drop() noexcept;
  /// Frames that can be moved now, or -errno (-EPIPE lost samples, -ENODEV gone).
  snd_pcm_sframes_t available() noexcept;
  /// Frames between the application's and the converter's end, 0 when ALSA does not know.
  int delay() noexcept;
  /// Waits until `frames` can be moved; 1 they can, 0 not in time, or -errno.
  int wait(int frames, int timeout_ms) noexcept;

  /// Moves exactly to.frames() / from.frames() samples, which must be available. 0 or -errno.
  int read(FrameView to) noexcept;
  int write(ConstFrameView from) noexcept;
  int write_silence(int frames) noexcept;

 private:
  Status configure();
  Error refused(const std::string& what, int code) const;
  template <typename Move>
  int transfer(int frames, Move move) noexcept;

  Request request_;
  snd_pcm_t* pcm_ = nullptr;
  snd_pcm_sw_params_t* sw_params_ = nullptr;
  SampleFormat format_ = SampleFormat::kFloat;
  int buffer_frames_ = 0;
  int wake_frames_ = 0;
  int last_error_ = 0;
};

}  // namespace conclave::drivers
