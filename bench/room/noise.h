// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/frame_view.h"
#include "base/result.h"
#include "bench/room/image_method.h"
#include "bench/room/scene.h"

namespace conclave::bench::room {

/// A seamless loop of the fan at each microphone (microphones x loop), RMS 1 on average over the
/// ring. From a place: coloured noise through the room's responses; diffuse: plane waves from all
/// around (Habets & Gannot, JASA 122(6), 2007). About 10 s.
Result<FrameBuffer> make_fan(const Scene& scene, const Shoebox& shoebox);

}  // namespace conclave::bench::room
