// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/audio_frame.h"
#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/transform/stft.h"

namespace conclave::engine {

/// Where the chain can be listened to.
enum class TapPoint : std::uint8_t {
  kMic,       ///< "mic0"...: as captured, satellites on the ring's clock; one for each microphone
  kAec,       ///< "aec0"...: behind the linear canceller
  kEcho,      ///< "echo0"...: the canceller's estimate of the echo
  kFar,       ///< "far": what came from the far end
  kPlayback,  ///< "playback": what goes to the loudspeaker, the canceller's reference
  kBeam,      ///< "beam": the ring's beam
  kMix,       ///< "mix": beam and satellites
  kPostRs,    ///< "post_rs": behind residual suppression and comfort noise
  kPostNs,    ///< "post_ns": behind noise suppression
  kSent,      ///< "sent": what goes to the encoder
};

/// Any inner signal by its name, into rings that are allocated in create(). A chain without taps
/// pays one comparison for each point. Taps of spectra are brought back to time and so come one hop
/// later than the spectrum, which aligns them with what is sent but for the limiter's look-ahead.
///
/// write functions: audio thread. read(): one other thread, or the same one between blocks.
class Taps {
 public:
  Taps() = default;
  /// `capacity_frames` of 10 ms for each tap. Errors: a name that is not one of the above, a
  /// microphone that is not there.
  static Result<Taps> create(const std::vector<std::string>& names, int microphones, int hop,
                             int capacity_frames = 64);

  void write(TapPoint point, ConstFrameView signal) noexcept;
  void write(TapPoint point, ConstSpectrumView spectrum) noexcept;

  /// Forgets signal history, not what is waiting to be read. Audio thread.
  void reset() noexcept;

  int count() const { return static_cast<int>(taps_.size()); }
  const std::string& name(int tap) const { return taps_[static_cast<std::size_t>(tap)]->name; }
  /// The next frame of a tap; false when there is none.
  bool read(int tap, AudioFrame& frame) noexcept;
  /// Frames lost because nobody read.
  std::uint64_t overruns() const noexcept { return overruns_; }

 private:
  struct Tap {
    explicit Tap(int capacity) : ring(static_cast<std::size_t>(capacity)) {}
    std::string name;
    TapPoint point{};
    int channel = 0;
    std::uint64_t index = 0;
    AudioFrameRing ring;
    std::unique_ptr<dsp::StftSynthesis> synthesis;
    FrameBuffer time;
  };
  void push(Tap& tap, std::span<const float> samples) noexcept;

  std::vector<std::unique_ptr<Tap>> taps_;
  std::uint64_t overruns_ = 0;
};

}  // namespace conclave::engine
