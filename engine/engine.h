// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/frame_view.h"
#include "base/result.h"
#include "dsp/aec/echo_canceller.h"
#include "dsp/aec/residual_suppressor.h"
#include "dsp/array/array_geometry.h"
#include "dsp/array/beam_bank.h"
#include "dsp/array/direction_finder.h"
#include "dsp/array/satellite_mixer.h"
#include "dsp/enhance/comfort_noise.h"
#include "dsp/enhance/noise_suppressor.h"
#include "dsp/level/agc.h"
#include "dsp/level/level_meter.h"
#include "dsp/level/limiter.h"
#include "dsp/neural/mask_net.h"
#include "dsp/transform/stft.h"
#include "engine/clock_observer.h"
#include "engine/engine_meters.h"
#include "engine/metrics.h"
#include "engine/params.h"
#include "engine/ramp.h"
#include "engine/reference_aligner.h"
#include "engine/taps.h"

namespace conclave::engine {

enum class Chain {
  kFull,   ///< everything: the phone
  kEcho,   ///< echo control of microphone 0; no beams, no noise suppression, no level control
  kArray,  ///< everything but echo control
};

/// Where the canceller's reference comes from.
enum class Reference {
  kPlayback,  ///< what this engine writes to the loudspeaker: gain and limiter included
  kFarEnd,    ///< far_in as it is: recordings whose far end is what the loudspeaker got
};

/// Who knows the satellites' clocks.
enum class SatelliteClock {
  kDevice,     ///< their cards do: what is handed in is on the ring's clock when flagged as synced
  kRecording,  ///< nobody: a recording stores a satellite's samples beside the ring's, whatever its
               ///< clock was. It is used when the sound itself tells that the clocks agree.
};

/// Loudspeaker channels at most: two for stereo playback, four for what the canceller can take.
inline constexpr int kMaxReferences = 4;

struct EngineConfig {
  int sample_rate = 48000;   ///< 48000 or 16000
  dsp::Geometry geometry{};  ///< ring and satellites: as many microphones as capture channels
  Chain chain = Chain::kFull;
  Reference reference = Reference::kPlayback;
  SatelliteClock satellite_clock = SatelliteClock::kDevice;
  int references = 1;               ///< loudspeaker channels that far_in brings, 1..kMaxReferences
  float echo_tail_ms = 200;         ///< of the canceller's filter, 20..500
  bool raw_gain = false;            ///< no AGC and no limiter on what is sent
  std::vector<std::string> taps{};  ///< see TapPoint
  int tap_frames = 64;              ///< capacity of a tap's ring
  EngineParams params{};            ///< to start with, without ramps
};

/// The chain from microphones to what is sent, and from the far end to the loudspeaker: one
/// process() that reads like the picture in docs/architecture.md. The same engine runs behind ALSA,
/// the virtual room and files with bit-identical results, so it knows no thread, file or clock.
///
/// create() on any thread. process(), set_params(), reset(), metrics() on one thread, the audio
/// thread: without allocation, lock or system call. The caller has denormals flushed to zero
/// (realtime::flush_denormals), or results may differ in the last bit.
class Engine {
 public:
  static Result<std::unique_ptr<Engine>> create(const EngineConfig& config);

  /// One hop (10 ms). capture: ring channels, then satellites on the ring's clock; far_in and
  /// playback references x hop, send 1 x hop. `satellites_synced`: those that are not (or missing)
  /// are not used.
  void process(ConstFrameView capture, ConstFrameView far_in,
               std::span<const bool> satellites_synced, FrameView playback,
               FrameView send) noexcept;
  void set_params(const EngineParams& params) noexcept;
  /// After lost samples: forgets all signal history and adaptation; parameters stay.
  void reset() noexcept;

  const EngineMetrics& metrics() const noexcept { return metrics_; }
  Taps& taps() noexcept { return taps_; }

  int hop() const { return hop_; }
  int bins() const { return bins_; }
  int sample_rate() const { return config_.sample_rate; }
  int microphones() const { return mics_; }
  int ring_mics() const { return ring_; }
  int satellites() const { return sats_; }
  Chain chain() const { return config_.chain; }
  const dsp::Geometry& geometry() const { return config_.geometry; }
  /// Samples from a microphone to what is sent.
  int latency_frames() const;
  const dsp::BeamBank& beams() const { return *beams_; }
  const dsp::DirectionMetrics& direction() const noexcept { return finder_->metrics(); }

  /// What the last process() decided, for repeating it on component recordings (Shadow).
  struct Decisions {
    std::span<const float>
        spectral_gain;                ///< residual and noise suppression and low cut together; bins
    std::span<const float> level_in;  ///< before AGC, limiter and mute; hop
    std::span<const float> level_out;
    int level_delay;              ///< samples that level_out comes after level_in
    ConstFrameView echo_removed;  ///< the canceller's estimate, microphones x hop
    ConstFrameView reference;     ///< what the canceller worked with: aligned, references x hop
    const dsp::BeamBank* beams;   ///< null in a chain without beams
    const dsp::SatelliteMixer* mixer;
  };
  Decisions decisions() const noexcept;

 private:
  explicit Engine(const EngineConfig& config);
  Status build();
  bool has_echo_control() const { return config_.chain != Chain::kArray; }
  bool has_beams() const { return config_.chain != Chain::kEcho; }

  // Steps of process(), in its order.
  void play(ConstFrameView far_in, FrameView playback) noexcept;
  void hear_far() noexcept;
  void cancel_echo(ConstFrameView capture, ConstFrameView reference) noexcept;
  void look(std::span<const bool> satellites_synced) noexcept;
  void suppress() noexcept;
  std::span<const float> noise_advice() noexcept;
  void set_low_cut(float hz) noexcept;
  void level(FrameView send) noexcept;
  void measure(ConstFrameView capture, ConstFrameView playback, ConstFrameView send) noexcept;
  void measure_satellites(ConstFrameView capture) noexcept;

  static constexpr float kNearProbable = 0.5F;  // from here on somebody near talks

  EngineConfig config_;
  EngineParams params_;
  int hop_ = 0;
  int bins_ = 0;
  int ring_ = 0;
  int sats_ = 0;
  int mics_ = 0;   // capture channels
  int lines_ = 0;  // microphones that go through the chain: all, or the first one alone

  // Loudspeaker.
  GainRamp speaker_gain_;
  std::unique_ptr<dsp::Limiter> speaker_limiter_;

  // Echo.
  std::unique_ptr<ReferenceAligner> aligner_;
  std::unique_ptr<dsp::EchoCanceller> canceller_;
  std::unique_ptr<dsp::ResidualSuppressor> residual_;
  FrameBuffer reference_;  // references x hop, aligned
  FrameBuffer error_;      // lines x hop
  FrameBuffer echo_;       // lines x hop

  // Spectra.
  std::unique_ptr<dsp::StftAnalysis> error_analysis_;
  std::unique_ptr<dsp::StftAnalysis> echo_analysis_;
  std::unique_ptr<dsp::StftAnalysis> far_analysis_;
  std::unique_ptr<dsp::StftSynthesis> synthesis_;
  SpectrumBuffer error_spectra_;  // lines x bins
  SpectrumBuffer echo_spectra_;   // lines x bins
  SpectrumBuffer far_spectra_;    // references x bins
  SpectrumBuffer far_spectrum_;   // 1 x bins: all references together
  SpectrumBuffer beam_;           // 1 x bins
  SpectrumBuffer beam_echo_;      // 1 x bins
  FrameBuffer residual_gain_;     // 1 x bins
  FrameBuffer noise_advice_;      // 1 x bins
  FrameBuffer noise_gain_;        // 1 x bins
  FrameBuffer low_cut_gain_;      // 1 x bins
  float low_cut_hz_ = 0.0F;
  FrameBuffer total_gain_;  // 1 x bins

  // Array.
  std::unique_ptr<dsp::DirectionFinder> finder_;
  std::unique_ptr<dsp::BeamBank> beams_;
  std::unique_ptr<dsp::SatelliteMixer> mixer_;
  std::array<bool, kMaxSatellites> sats_usable_{};

  // Enhancement and level.
  std::unique_ptr<dsp::LearnedMask> mask_;
  std::unique_ptr<dsp::NoiseSuppressor> noise_;
  std::unique_ptr<dsp::ComfortNoise> comfort_;
  std::unique_ptr<dsp::Agc> agc_;
  std::unique_ptr<dsp::Limiter> limiter_;
  GainRamp mute_ramp_;
  FrameBuffer level_in_;   // 1 x hop
  FrameBuffer level_out_;  // 1 x hop

  // What the last blocks told; decides what may adapt in this one.
  bool far_active_ = false;
  bool far_only_ = false;
  int far_hangover_ = 0;
  float near_activity_ = 0.0F;

  std::optional<dsp::LevelMeter> mic_meter_;
  std::optional<dsp::LevelMeter> speaker_meter_;
  std::optional<dsp::LevelMeter> sent_meter_;
  EchoMeter echo_meter_;
  std::unique_ptr<ClockObserver> clocks_;
  FloorMeter ring_floor_;
  std::array<FloorMeter, kMaxSatellites> satellite_floor_;
  std::array<float, kMaxSatellites> offset_ms_{};
  std::array<bool, kMaxSatellites> satellite_heard_near_{};  // by a talker close to it
  float steady_azimuth_ = 0.0F;
  int steady_blocks_ = 0;
  Taps taps_;
  EngineMetrics metrics_;
};

}  // namespace conclave::engine
