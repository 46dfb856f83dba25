// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/realtime.h"
#include "bench/echo/block_system.h"
#include "engine/engine.h"
#include "engine/profile.h"

namespace conclave::bench::echo {
namespace {

class NoneProcessor : public BlockProcessor {
 public:
  void process(ConstFrameView mics, ConstFrameView, std::span<float> out) override {
    std::ranges::copy(mics[0], out.begin());
  }
  std::optional<double> latency_ms() const override { return 0.0; }
};

class NoneSystem : public BlockSystem {
 public:
  NoneSystem() : BlockSystem("none") {}

 protected:
  Result<std::unique_ptr<BlockProcessor>> start(const SystemInput&) const override {
    return std::unique_ptr<BlockProcessor>(std::make_unique<NoneProcessor>());
  }
};

class ConclaveProcessor : public BlockProcessor {
 public:
  explicit ConclaveProcessor(std::unique_ptr<engine::Engine> engine)
      : engine_(std::move(engine)), playback_(1, engine_->hop()) {}

  void process(ConstFrameView mics, ConstFrameView far, std::span<float> out) override {
    const realtime::Scope scope;
    engine_->process(mics.rows(0, engine_->microphones()), far, {}, playback_, FrameView(out));
  }
  std::optional<double> latency_ms() const override {
    return 1000.0 * engine_->latency_frames() / engine_->sample_rate();
  }

 private:
  std::unique_ptr<engine::Engine> engine_;
  FrameBuffer playback_;
};

// The engine as `conclave process --raw-gain` runs it.
class ConclaveSystem : public BlockSystem {
 public:
  ConclaveSystem(std::string name, ConclaveKind kind) : BlockSystem(std::move(name)), kind_(kind) {}

 protected:
  Result<std::unique_ptr<BlockProcessor>> start(const SystemInput& input) const override {
    auto profile = engine::single_microphone_profile();
    if (kind_ == ConclaveKind::kNoise && !input.profile.empty()) {
      CONCLAVE_TRY(profile, engine::load_profile(input.profile));
      if (profile.ring_mics() > input.mics.channels()) {
        return Error{input.profile + ": has more microphones than the recording"};
      }
      profile.geometry.satellites.clear();  // a recording's satellites are on clocks of their own
    }
    engine::EngineConfig config;
    config.sample_rate = input.rate;
    config.geometry = profile.geometry;
    config.chain = kind_ == ConclaveKind::kNoise ? engine::Chain::kFull : engine::Chain::kEcho;
    config.reference = engine::Reference::kFarEnd;
    config.raw_gain = true;
    if (kind_ == ConclaveKind::kLinear) {
      config.params.residual_suppression = false;
      config.params.comfort_noise = false;
    }
    CONCLAVE_TRY(auto engine, engine::Engine::create(config));
    return std::unique_ptr<BlockProcessor>(std::make_unique<ConclaveProcessor>(std::move(engine)));
  }

 private:
  ConclaveKind kind_;
};

}  // namespace

std::unique_ptr<System> make_none_system() { return std::make_unique<NoneSystem>(); }

std::unique_ptr<System> make_conclave_system(std::string name, ConclaveKind kind) {
  return std::make_unique<ConclaveSystem>(std::move(name), kind);
}

}  // namespace conclave::bench::echo
