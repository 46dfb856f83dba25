// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::bench::echo {

struct Sound {
  int rate = 0;
  FrameBuffer samples;  ///< channels x frames
};

/// A whole WAV or FLAC file of 16 or 48 kHz; what is wrong with it is told as AudioFileReader does.
Result<Sound> load_sound(const std::string& path);
/// 32-bit float WAV, or 24-bit FLAC where the path says so.
Status save_sound(const std::string& path, ConstFrameView samples, int rate);
Status save_sound(const std::string& path, std::span<const float> samples, int rate);
Status save_sound_16_bit(const std::string& path, ConstFrameView samples, int rate);

/// A file's bytes, and a file written whole: first beside its place and then moved there.
Result<std::string> read_text(const std::string& path);
Status write_text(const std::string& path, const std::string& text);

}  // namespace conclave::bench::echo
