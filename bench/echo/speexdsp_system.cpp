// SPDX-License-Identifier: Apache-2.0
#include <speex/speex_echo.h>
#include <speex/speex_preprocess.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/echo/block_system.h"

namespace conclave::bench::echo {
namespace {

constexpr int kTailMs = 200;

using Samples = std::vector<spx_int16_t>;

void to_16_bit(std::span<const float> from, Samples& to) {
  std::ranges::transform(from, to.begin(), [](float x) {
    return static_cast<spx_int16_t>(std::lround(std::clamp(x * 32768.0F, -32768.0F, 32767.0F)));
  });
}

// The echo canceller (MDF) and, where asked for, its preprocessor, which takes the residual echo
// off and the noise with it: the library's recommended use.
class SpeexdspProcessor : public BlockProcessor {
 public:
  SpeexdspProcessor(int rate, bool preprocess)
      : hop_(rate / 100),
        echo_(speex_echo_state_init(hop_, rate / 1000 * kTailMs), speex_echo_state_destroy),
        preprocess_(preprocess ? speex_preprocess_state_init(hop_, rate) : nullptr,
                    speex_preprocess_state_destroy),
        mic_(static_cast<std::size_t>(hop_)),
        far_(mic_.size()),
        out_(mic_.size()) {
    speex_echo_ctl(echo_.get(), SPEEX_ECHO_SET_SAMPLING_RATE, &rate);
    if (preprocess_)
      speex_preprocess_ctl(preprocess_.get(), SPEEX_PREPROCESS_SET_ECHO_STATE, echo_.get());
  }

  void process(ConstFrameView mics, ConstFrameView far, std::span<float> out) override {
    to_16_bit(mics[0], mic_);
    to_16_bit(far[0], far_);
    speex_echo_cancellation(echo_.get(), mic_.data(), far_.data(), out_.data());
    if (preprocess_) speex_preprocess_run(preprocess_.get(), out_.data());
    std::ranges::transform(out_, out.begin(),
                           [](spx_int16_t x) { return static_cast<float>(x) / 32768.0F; });
  }
  std::optional<double> latency_ms() const override { return preprocess_ ? 10.0 : 0.0; }

 private:
  int hop_;
  std::unique_ptr<SpeexEchoState, void (*)(SpeexEchoState*)> echo_;
  std::unique_ptr<SpeexPreprocessState, void (*)(SpeexPreprocessState*)> preprocess_;
  Samples mic_;
  Samples far_;
  Samples out_;
};

class SpeexdspSystem : public BlockSystem {
 public:
  SpeexdspSystem(std::string name, bool preprocess)
      : BlockSystem(std::move(name)), preprocess_(preprocess) {}

 protected:
  Result<std::unique_ptr<BlockProcessor>> start(const SystemInput& input) const override {
    return std::unique_ptr<BlockProcessor>(
        std::make_unique<SpeexdspProcessor>(input.rate, preprocess_));
  }

 private:
  bool preprocess_;
};

}  // namespace

std::unique_ptr<System> make_speexdsp_system(std::string name, bool preprocess) {
  return std::make_unique<SpeexdspSystem>(std::move(name), preprocess);
}

}  // namespace conclave::bench::echo
