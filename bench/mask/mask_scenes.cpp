// SPDX-License-Identifier: Apache-2.0
//
// mask_scenes: the linear stage in the training loop of the learned mask (tools/training).
//
// Reads scenes at 16 kHz from standard input and writes, for each frame of 10 ms, what the mask is
// told and the powers it should leave. A scene is a header of five 32-bit integers
//   samples, delay of the far end in ms, reset of the engine at (samples, -1: never),
//   has a far end (0 or 1), rate (16000 or 48000)
// followed by `samples` floats each of far end, near speech, near noise and echo at the microphone.
// Out come, as floats, MaskFeatures::kCount features, and the band powers of the canceller's error,
// of near speech with noise, and of near speech.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/realtime.h"
#include "dsp/neural/mask_features.h"
#include "dsp/transform/stft.h"
#include "engine/engine.h"

namespace conclave::bench {
namespace {

struct Header {
  std::int32_t samples, lead_ms, reset_at, has_far, rate;
};

bool read_all(void* to, std::size_t bytes) { return std::fread(to, 1, bytes, stdin) == bytes; }

/// One scene through the engine: the same linear stage as in the phone, with nothing learned in it.
Status run_scene(const Header& h, const std::vector<float>& samples) {
  const int hop = h.rate / 100;
  const int frames = h.samples / hop;
  engine::EngineConfig config;
  config.sample_rate = h.rate;
  config.geometry.ring = {{0, 0, 0}};
  config.chain = engine::Chain::kEcho;
  config.reference = engine::Reference::kFarEnd;
  config.params.learned_echo_mask = false;
  CONCLAVE_TRY(auto engine, engine::Engine::create(config));
  // Error, echo estimate and reference; near speech with noise, and near speech.
  CONCLAVE_TRY(auto analysis, dsp::StftAnalysis::create(5, hop));
  dsp::MaskFeatures features(h.rate, hop);
  FrameBuffer mic(1, hop);
  FrameBuffer far(1, hop);
  FrameBuffer played(1, hop);
  FrameBuffer sent(1, hop);
  FrameBuffer time(5, hop);
  SpectrumBuffer spectra(5, analysis->bins());
  std::vector<float> out(dsp::MaskFeatures::kCount + 3 * dsp::MaskBands::kBands);

  const auto total = static_cast<std::size_t>(h.samples);
  const auto lead = static_cast<std::size_t>(h.lead_ms) * static_cast<std::size_t>(h.rate) / 1000;
  const bool has_far = h.has_far != 0;
  for (int f = 0; f < frames; ++f) {
    const auto at = static_cast<std::size_t>(f) * static_cast<std::size_t>(hop);
    for (std::size_t i = 0; i < static_cast<std::size_t>(hop); ++i) {
      const float near = samples[total + at + i];
      const float both = near + samples[2 * total + at + i];
      far[0][i] = at + i >= lead ? samples[at + i - lead] : 0.0F;
      mic[0][i] = both + samples[3 * total + at + i];
      time[3][i] = both;
      time[4][i] = near;
    }
    if (h.reset_at >= 0 && f == h.reset_at / hop) engine->reset();
    if (has_far) {
      engine->process(mic, far, {}, played, sent);
      const auto decisions = engine->decisions();
      copy<float>(decisions.reference, time.view().rows(2, 1));
      const auto echo = decisions.echo_removed[0];
      for (std::size_t i = 0; i < echo.size(); ++i) {
        time[0][i] = mic[0][i] - echo[i];
        time[1][i] = echo[i];
      }
    } else {
      copy<float>(mic.view(), time.view().rows(0, 1));
    }
    analysis->process(time, spectra);
    const std::span<const std::complex<float>> nothing;
    const auto told = features.process(spectra[0], has_far ? spectra[1] : nothing,
                                       has_far ? spectra[2] : nothing);
    std::copy(told.begin(), told.end(), out.begin());
    auto* powers = out.data() + dsp::MaskFeatures::kCount;
    const int rows[3] = {0, 3, 4};
    for (const int row : rows) {
      features.band_power(spectra[row], {powers, dsp::MaskBands::kBands});
      powers += dsp::MaskBands::kBands;
    }
    if (std::fwrite(out.data(), sizeof(float), out.size(), stdout) != out.size()) {
      return Error{"standard output is closed"};
    }
  }
  std::fflush(stdout);
  return {};
}

int run() {
  realtime::flush_denormals();
  Header h{};
  std::vector<float> samples;
  while (read_all(&h, sizeof h)) {
    const bool sane = h.samples > 0 && h.samples < 100'000'000 && h.lead_ms >= 0 &&
                      h.lead_ms <= 10'000 && (h.rate == 16000 || h.rate == 48000);
    if (!sane) {
      std::fprintf(stderr, "mask_scenes: not the header of a scene; see the top of its source\n");
      return 2;
    }
    samples.resize(static_cast<std::size_t>(h.samples) * 4);
    if (!read_all(samples.data(), samples.size() * sizeof(float))) {
      std::fprintf(stderr, "mask_scenes: the last scene is cut off\n");
      return 1;
    }
    const Status status = run_scene(h, samples);
    if (!status) {
      std::fprintf(stderr, "mask_scenes: %s\n", status.error().message.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace conclave::bench

int main() { return conclave::bench::run(); }
