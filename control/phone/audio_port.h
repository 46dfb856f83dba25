// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "engine/metrics.h"
#include "engine/params.h"

namespace conclave::control {

/// The audio engine as the control plane sees it. apps/ puts the real one behind it.
class AudioPort {
 public:
  struct Recording {
    int sample_rate = 0;
    std::vector<float> raw, sent, played;  ///< same length, aligned
    std::int64_t start_ns = 0;             ///< monotonic time of the first sample
  };
  virtual ~AudioPort() = default;
  /// Control loop.
  virtual void set_params(const engine::EngineParams& params) = 0;
  /// Control loop. The newest; stays valid until the next call.
  virtual const engine::EngineMetrics& metrics() = 0;
  /// Any thread; allocates. At most the last `seconds`.
  virtual Recording recording(double seconds) const = 0;
  /// Control loop, regularly: log and events of the audio thread.
  virtual void drain() = 0;
};

}  // namespace conclave::control
