// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/frame_view.h"
#include "base/result.h"

namespace conclave::bench::room {

/// Writes a float WAV file.
Status write_wav(const std::string& path, ConstFrameView signal, int sample_rate);
/// Reads a WAV or FLAC file; `sample_rate` is set to its rate.
Result<FrameBuffer> read_wav(const std::string& path, int& sample_rate);

}  // namespace conclave::bench::room
