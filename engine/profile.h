// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"
#include "dsp/array/array_geometry.h"

namespace conclave::engine {

/// What a device is: its microphones' places. A versioned file made by `conclave calibrate` or by
/// hand:
///   {"name": "phone", "ring": [[x,y,z], ...], "satellites": [[x,y,z] | null, ...],
///    "speed_of_sound": 343.0}
/// Metres. Unknown keys are ignored; `satellites_nominal` is an accepted name for `satellites`.
struct Profile {
  std::string name;
  dsp::Geometry geometry;

  int ring_mics() const { return static_cast<int>(geometry.ring.size()); }
  int satellites() const { return static_cast<int>(geometry.satellites.size()); }
};

/// Control threads. The message of an error names the file (or `source`) and what is wrong there.
Result<Profile> load_profile(const std::string& path);
Result<Profile> parse_profile(const std::string& text, const std::string& source);

/// One microphone at the origin: for a handset, or a recording without a profile.
Profile single_microphone_profile();

}  // namespace conclave::engine
