// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/resample/drift_compensator.h"
#include "engine/metrics.h"

namespace conclave::engine {

/// Brings the satellites' cards, each with a clock of its own, to the ring's clock: one drift
/// compensator each. The same in front of the engine whether samples come from cards or from files,
/// so that both give the same result. Audio thread but for create().
class SatelliteInputs {
 public:
  static Result<std::unique_ptr<SatelliteInputs>> create(int sample_rate, int hop, int satellites);

  /// 1 x n samples, any n, as the card delivered them.
  void push(int satellite, ConstFrameView in) noexcept;
  /// The card is gone or lost samples: silence, and not synced, until it has delivered again.
  void lose(int satellite) noexcept;
  /// Once for each hop of the ring. out: satellites x hop.
  void pull(FrameView out) noexcept;
  /// Those that are on the ring's clock now and may be used.
  std::span<const bool> synced() const noexcept { return {synced_.data(), drift_.size()}; }
  /// Adds what it knows to the engine's own metrics of the same block.
  void fill(EngineMetrics& metrics) const noexcept;
  void reset() noexcept;
  int count() const { return static_cast<int>(drift_.size()); }

 private:
  explicit SatelliteInputs(int patience) : patience_(patience) {}

  int patience_;  // pulls without a sample after which a satellite counts as absent
  std::vector<std::unique_ptr<dsp::DriftCompensator>> drift_;
  std::array<bool, kMaxSatellites> synced_{};
  std::array<int, kMaxSatellites> quiet_{};
};

}  // namespace conclave::engine
