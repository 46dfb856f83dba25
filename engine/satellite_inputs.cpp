// SPDX-License-Identifier: Apache-2.0
#include "engine/satellite_inputs.h"

#include <algorithm>

namespace conclave::engine {
namespace {
constexpr int kPatienceBlocks = 10;
constexpr float kBlockMs = 10.0F;
}  // namespace

Result<std::unique_ptr<SatelliteInputs>> SatelliteInputs::create(int sample_rate, int hop,
                                                                 int satellites) {
  if (satellites < 0 || satellites > kMaxSatellites) {
    return Error{"at most " + std::to_string(kMaxSatellites) + " satellites work"};
  }
  std::unique_ptr<SatelliteInputs> inputs(new SatelliteInputs(kPatienceBlocks));
  for (int s = 0; s < satellites; ++s) {
    CONCLAVE_TRY(auto drift, dsp::DriftCompensator::create(
                                 {.channels = 1, .sample_rate = sample_rate, .hop = hop}));
    inputs->drift_.push_back(std::move(drift));
  }
  inputs->quiet_.fill(kPatienceBlocks);
  return inputs;
}

void SatelliteInputs::push(int satellite, ConstFrameView in) noexcept {
  if (in.frames() <= 0) return;
  const auto s = static_cast<std::size_t>(satellite);
  drift_[s]->push(in);
  quiet_[s] = 0;
}

void SatelliteInputs::lose(int satellite) noexcept {
  const auto s = static_cast<std::size_t>(satellite);
  drift_[s]->reset();
  quiet_[s] = patience_;
}

void SatelliteInputs::pull(FrameView out) noexcept {
  for (std::size_t s = 0; s < drift_.size(); ++s) {
    drift_[s]->pull(out.rows(static_cast<int>(s), 1));
    quiet_[s] = std::min(quiet_[s] + 1, patience_);
    synced_[s] = quiet_[s] < patience_ && drift_[s]->metrics().synced;
  }
}

void SatelliteInputs::fill(EngineMetrics& metrics) const noexcept {
  for (std::size_t s = 0; s < drift_.size(); ++s) {
    const auto drift = drift_[s]->metrics();
    auto& satellite = metrics.satellites[s];
    // The engine tells what the buffer cannot see.
    satellite.ppm += drift.ppm;
    // The buffer counts the block that the next pull takes, which delays nothing.
    if (satellite.offset_known) satellite.offset_ms -= drift.latency_ms - kBlockMs;
    satellite.latency_ms = drift.latency_ms;
    satellite.synced = synced_[s];
    satellite.present = quiet_[s] < patience_;
    satellite.underruns = drift.underruns;
  }
}

void SatelliteInputs::reset() noexcept {
  for (auto& drift : drift_) drift->reset();
  synced_.fill(false);
  quiet_.fill(patience_);
}

}  // namespace conclave::engine
