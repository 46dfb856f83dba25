// SPDX-License-Identifier: Apache-2.0
#include <webrtc/modules/audio_processing/include/audio_processing.h>
#include <webrtc/modules/interface/module_common_types.h>

#include <algorithm>
#include <mutex>
#include <shared_mutex>

#include "bench/echo/block_system.h"

namespace conclave::bench::echo {
namespace {

// Making a canceller writes the transform tables that all cancellers of the process share, for a
// moment with wrong values: none may process meanwhile, or runs with several jobs differ.
std::shared_mutex shared_tables;

// The canceller before AEC3 in the form that calls used: extended filter (128 ms), delay found by
// itself, strongest suppression, high-pass.
class WebrtcProcessor : public BlockProcessor {
 public:
  static Result<std::unique_ptr<BlockProcessor>> create(int rate, bool noise_suppression) {
    const std::unique_lock nobody_processes(shared_tables);
    webrtc::Config config;
    config.Set<webrtc::ExtendedFilter>(new webrtc::ExtendedFilter(true));
    config.Set<webrtc::DelayAgnostic>(new webrtc::DelayAgnostic(true));
    std::unique_ptr<webrtc::AudioProcessing> apm(webrtc::AudioProcessing::Create(config));
    if (!apm) return Error{"webrtc: the library gives no AudioProcessing"};
    const webrtc::StreamConfig stream(rate, 1);
    bool good = apm->Initialize({{stream, stream, stream, stream}}) == 0;
    good = apm->high_pass_filter()->Enable(true) == 0 && good;
    good = apm->echo_cancellation()->set_suppression_level(
               webrtc::EchoCancellation::kHighSuppression) == 0 &&
           good;
    good = apm->echo_cancellation()->Enable(true) == 0 && good;
    if (noise_suppression) good = apm->noise_suppression()->Enable(true) == 0 && good;
    if (!good) return Error{"webrtc: the library refuses its configuration"};
    return std::unique_ptr<BlockProcessor>(new WebrtcProcessor(std::move(apm), stream));
  }

  void process(ConstFrameView mics, ConstFrameView far, std::span<float> out) override {
    const float* far_row = far[0].data();
    const float* mic_row = mics[0].data();
    float* out_row = out.data();
    float* unused_row = unused_.data();
    const std::shared_lock nobody_makes(shared_tables);
    apm_->ProcessReverseStream(&far_row, stream_, stream_, &unused_row);
    apm_->set_stream_delay_ms(0);
    if (apm_->ProcessStream(&mic_row, stream_, stream_, &out_row) != 0)
      std::ranges::copy(mics[0], out.begin());
  }

 private:
  WebrtcProcessor(std::unique_ptr<webrtc::AudioProcessing> apm, const webrtc::StreamConfig& stream)
      : apm_(std::move(apm)), stream_(stream), unused_(stream.num_frames()) {}

  std::unique_ptr<webrtc::AudioProcessing> apm_;
  webrtc::StreamConfig stream_;
  std::vector<float> unused_;
};

class WebrtcSystem : public BlockSystem {
 public:
  WebrtcSystem(std::string name, bool noise_suppression)
      : BlockSystem(std::move(name)), noise_suppression_(noise_suppression) {}

 protected:
  Result<std::unique_ptr<BlockProcessor>> start(const SystemInput& input) const override {
    return WebrtcProcessor::create(input.rate, noise_suppression_);
  }

 private:
  bool noise_suppression_;
};

}  // namespace

std::unique_ptr<System> make_webrtc_system(std::string name, bool noise_suppression) {
  return std::make_unique<WebrtcSystem>(std::move(name), noise_suppression);
}

}  // namespace conclave::bench::echo
