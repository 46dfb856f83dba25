// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/frame_view.h"
#include "base/result.h"
#include "drivers/file/audio_file.h"
#include "engine/profile.h"
#include "engine/satellite_inputs.h"

namespace conclave::apps {

/// A recording of all microphones, ring and satellites, from one file or two; the satellites are
/// brought to the ring's clock as the audio thread does it.
class CaptureFiles {
 public:
  /// `profile`: what the files must hold. A profile whose satellites are in no file is used without
  /// them: has_satellites() tells. `first_only`: any file with a microphone will do.
  static Result<std::unique_ptr<CaptureFiles>> open(const std::string& mics,
                                                    const std::string& satellites,
                                                    const engine::Profile& profile,
                                                    bool first_only);

  int sample_rate() const { return mics_->sample_rate(); }
  int hop() const { return hop_; }
  std::int64_t frames() const { return mics_->frames(); }
  bool has_satellites() const { return satellites_count_ > 0; }
  int channels() const { return ring_ + satellites_count_; }

  /// The next hop of all microphones, zeros behind a file's end. False when a file fails.
  bool read(FrameView capture) noexcept;
  const engine::SatelliteInputs& satellites() const { return *inputs_; }

 private:
  CaptureFiles() = default;

  std::unique_ptr<drivers::AudioFileReader> mics_;
  std::unique_ptr<drivers::AudioFileReader> extra_;  // satellites in a file of their own
  std::unique_ptr<engine::SatelliteInputs> inputs_;
  int ring_ = 0;
  int satellites_count_ = 0;
  int hop_ = 0;
};

}  // namespace conclave::apps
