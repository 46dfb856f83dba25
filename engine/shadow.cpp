// SPDX-License-Identifier: Apache-2.0
#include "engine/shadow.h"

#include <algorithm>
#include <cmath>

namespace conclave::engine {
namespace {
constexpr float kReadable = 1e-9F;  // smaller inputs tell no gain

// Appends a block to a history of fixed length.
void append(std::vector<float>& past, std::span<const float> block) {
  std::copy(past.begin() + static_cast<std::ptrdiff_t>(block.size()), past.end(), past.begin());
  std::ranges::copy(block, past.end() - static_cast<std::ptrdiff_t>(block.size()));
}
}  // namespace

Shadow::Shadow(const Engine& engine)
    : ring_(engine.ring_mics()),
      sats_(engine.satellites()),
      lines_(engine.chain() == Chain::kEcho ? 1 : engine.microphones()),
      spectra_(lines_, engine.bins()),
      mixed_(1, engine.bins()),
      time_(1, engine.hop()) {
  const int history = engine.decisions().level_delay + engine.hop();
  component_past_.assign(static_cast<std::size_t>(history), 0.0F);
  whole_past_.assign(static_cast<std::size_t>(history), 0.0F);
}

Result<std::unique_ptr<Shadow>> Shadow::create(const Engine& engine) {
  std::unique_ptr<Shadow> shadow(new Shadow(engine));
  CONCLAVE_TRY(shadow->analysis_, dsp::StftAnalysis::create(shadow->lines_, engine.hop()));
  CONCLAVE_TRY(shadow->synthesis_, dsp::StftSynthesis::create(1, engine.hop()));
  return shadow;
}

void Shadow::process(const Engine::Decisions& decided, ConstFrameView component,
                     FrameView out) noexcept {
  analysis_->process(component.rows(0, lines_), spectra_);
  const ConstSpectrumView spectra = spectra_.view();
  if (decided.beams != nullptr) {
    decided.beams->apply(spectra.rows(0, ring_), mixed_);
    if (decided.mixer != nullptr) {
      decided.mixer->apply(mixed_, spectra.rows(ring_, sats_), mixed_);
    }
  } else {
    copy<std::complex<float>>(spectra, mixed_.view());
  }
  const auto bins = mixed_[0];
  for (std::size_t k = 0; k < bins.size(); ++k) bins[k] *= decided.spectral_gain[k];
  synthesis_->process(mixed_, time_);

  append(component_past_, time_[0]);
  append(whole_past_, decided.level_in);
  const auto sent = out[0];
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const float whole = whole_past_[i];
    if (std::abs(whole) > kReadable) gain_ = decided.level_out[i] / whole;
    sent[i] = component_past_[i] * gain_;
  }
}

}  // namespace conclave::engine
