// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <algorithm>
#include <cmath>
#include <complex>

#include "base/audio_frame.h"

namespace conclave::engine {
namespace {

// Ten filters do not fit into a core's cache, and going through memory is what they cost: of an
// array, the late tail above 8 kHz is left to the beams and to residual suppression.
constexpr float kArrayHighTailMs = 80.0F;
// The far end's echo rings on after its speech: that long nothing learns noise or direction.
constexpr int kFarHangoverBlocks = 20;
constexpr float kFilterFitsDb = 3.0F;
// Clocks that far apart tear a satellite from the ring within minutes.
constexpr float kSyncedPpm = 8.0F;

float clamped(float value, float low, float high, float fallback) {
  return std::isfinite(value) ? std::clamp(value, low, high) : fallback;
}

using Bins = std::span<std::complex<float>>;

float power_of_sum(Bins a, Bins b) {
  float power = 0.0F;
  for (std::size_t k = 0; k < a.size(); ++k) power += std::norm(a[k] + b[k]);
  return power;
}

// A filter that no longer fits adds echo of its own; nothing may come out louder than it went in.
// The margin is for frames in which talkers happen to cancel each other in the microphone.
void limit_to(float power, Bins spectrum, std::span<float> gain) {
  constexpr float kMargin = 1.2F;
  float now = 0.0F;
  for (const auto& s : spectrum) now += std::norm(s);
  if (!(now > kMargin * power)) return;
  const float factor = std::sqrt(kMargin * power / now);
  for (auto& s : spectrum) s *= factor;
  for (float& g : gain) g *= factor;
}

}  // namespace

Engine::Engine(const EngineConfig& config) : config_(config), params_(config.params) {}

Result<std::unique_ptr<Engine>> Engine::create(const EngineConfig& config) {
  std::unique_ptr<Engine> engine(new Engine(config));
  CONCLAVE_CHECK_STATUS(engine->build());
  return engine;
}

void Engine::process(ConstFrameView capture, ConstFrameView far_in,
                     std::span<const bool> satellites_synced, FrameView playback,
                     FrameView send) noexcept {
  taps_.write(TapPoint::kMic, capture);
  taps_.write(TapPoint::kFar, far_in.rows(0, 1));

  play(far_in, playback);
  if (has_echo_control()) {
    cancel_echo(capture, config_.reference == Reference::kPlayback ? playback : far_in);
    error_analysis_->process(error_, error_spectra_);
    echo_analysis_->process(echo_, echo_spectra_);
    hear_far();
  } else {
    error_analysis_->process(capture, error_spectra_);
  }

  if (has_beams()) {
    look(satellites_synced);
  } else {
    copy<std::complex<float>>(error_spectra_.view(), beam_.view());
    copy<std::complex<float>>(echo_spectra_.view(), beam_echo_.view());
  }

  suppress();
  synthesis_->process(beam_, level_in_);
  level(send);

  taps_.write(TapPoint::kSent, send);
  measure(capture, playback, send);
}

void Engine::play(ConstFrameView far_in, FrameView playback) noexcept {
  copy<float>(far_in, playback);
  speaker_gain_.process(playback);
  speaker_limiter_->process(playback);
  taps_.write(TapPoint::kPlayback, playback.rows(0, 1));
}

/// What follows the canceller asks how much far end there is, not on which loudspeaker.
void Engine::hear_far() noexcept {
  if (config_.references == 1) {
    far_analysis_->process(reference_, far_spectrum_);
    return;
  }
  far_analysis_->process(reference_, far_spectra_);
  const auto all = far_spectrum_[0];
  for (std::size_t k = 0; k < all.size(); ++k) {
    float power = 0.0F;
    for (int r = 0; r < config_.references; ++r) power += std::norm(far_spectra_[r][k]);
    all[k] = std::sqrt(power);
  }
}

void Engine::cancel_echo(ConstFrameView capture, ConstFrameView reference) noexcept {
  const bool filter_fits = canceller_->metrics().erle_now_db > kFilterFitsDb;
  const auto change = aligner_->process(capture[0], reference, filter_fits, reference_);
  if (change.filter_is_void) canceller_->reset();
  canceller_->delay_reference(change.shifted);
  const int misfits = canceller_->metrics().misfits;
  canceller_->process(capture.rows(0, lines_), reference_, error_, echo_);
  if (change.filter_is_void || canceller_->metrics().misfits != misfits) residual_->path_changed();
  taps_.write(TapPoint::kAec, error_.view());
  taps_.write(TapPoint::kEcho, echo_.view());

  far_hangover_ = canceller_->metrics().far_active ? kFarHangoverBlocks : far_hangover_ - 1;
  far_hangover_ = std::max(far_hangover_, 0);
  far_active_ = far_hangover_ > 0;
  // The suppressor's view of the last block: this block's comes only behind the beam.
  far_only_ = far_active_ && residual_->metrics().near_probability < kNearProbable;
}

void Engine::look(std::span<const bool> satellites_synced) noexcept {
  const ConstSpectrumView spectra = error_spectra_.view();
  const ConstSpectrumView ring = spectra.rows(0, ring_);
  const ConstSpectrumView satellites = spectra.rows(ring_, sats_);

  finder_->process(ring, !far_only_);
  const auto& direction = finder_->metrics();
  beams_->process(ring, direction.valid || !params_.steering ? direction.azimuth_deg : NAN, beam_);
  taps_.write(TapPoint::kBeam, beam_.view());

  for (int s = 0; s < sats_; ++s) {
    const auto i = static_cast<std::size_t>(s);
    const auto& clock = clocks_->observation(s);
    const bool agrees = config_.satellite_clock == SatelliteClock::kDevice ||
                        (clock.ppm_known && std::abs(clock.ppm) < kSyncedPpm);
    sats_usable_[i] =
        params_.satellites && agrees && i < satellites_synced.size() && satellites_synced[i];
  }
  if (sats_ > 0) {
    mixer_->process(beam_, satellites, {sats_usable_.data(), static_cast<std::size_t>(sats_)},
                    !far_only_, beam_);
  }
  taps_.write(TapPoint::kMix, beam_.view());

  if (has_echo_control()) {
    const ConstSpectrumView echo = echo_spectra_.view();
    beams_->apply(echo.rows(0, ring_), beam_echo_);
    if (sats_ > 0) mixer_->apply(beam_echo_, echo.rows(ring_, sats_), beam_echo_);
  }
}

void Engine::suppress() noexcept {
  // The echo chain has no noise suppression, and needs no estimate of noise beyond the
  // suppressor's.
  const bool with_noise = config_.chain != Chain::kEcho;
  const bool learned_echo = has_echo_control() && params_.learned_echo_mask;
  const bool learned_noise = with_noise && params_.learned_noise_mask;
  // One step of the network serves both.
  if (learned_echo || learned_noise) {
    const bool far = has_echo_control();
    const std::span<const std::complex<float>> nothing;
    mask_->process(beam_[0], far ? beam_echo_[0] : nothing, far ? far_spectrum_[0] : nothing);
  }
  if (has_echo_control()) {
    const float heard = power_of_sum(beam_[0], beam_echo_[0]);
    dsp::LearnedEcho advice;
    if (learned_echo) {
      advice = {.gain = mask_->echo_gain(), .near_probability = mask_->near_probability()};
    }
    residual_->process(beam_, beam_echo_, far_spectrum_, beam_, residual_gain_[0], advice);
    if (params_.comfort_noise && params_.residual_suppression) {
      comfort_->process(beam_, residual_gain_[0], residual_->comfort_power());
    }
    limit_to(heard, beam_[0], residual_gain_[0]);
  }
  taps_.write(TapPoint::kPostRs, beam_.view());
  if (with_noise) {
    noise_->process(beam_, noise_gain_[0], !far_active_,
                    learned_noise ? noise_advice() : std::span<const float>());
  }
  const auto total = total_gain_[0];
  const auto low_cut = low_cut_gain_[0];
  for (std::size_t k = 0; k < total.size(); ++k) {
    beam_[0][k] *= low_cut[k];
    total[k] = residual_gain_[0][k] * noise_gain_[0][k] * low_cut[k];
  }
  taps_.write(TapPoint::kPostNs, beam_.view());

  near_activity_ = with_noise ? noise_->metrics().speech_probability : 1.0F;
  if (far_active_ || !with_noise) {
    near_activity_ = std::min(near_activity_, residual_->metrics().near_probability);
  }
}

/// The learned gain leaves near speech alone; what the residual suppressor took already does not
/// count twice.
std::span<const float> Engine::noise_advice() noexcept {
  const auto near = mask_->near_gain();
  if (!has_echo_control()) return near;
  const auto left = noise_advice_[0];
  for (std::size_t k = 0; k < left.size(); ++k) {
    left[k] = near[k] >= residual_gain_[0][k] ? 1.0F : near[k] / residual_gain_[0][k];
  }
  return left;
}

void Engine::level(FrameView send) noexcept {
  copy<float>(level_in_.view(), level_out_.view());
  if (agc_ != nullptr) agc_->process(level_out_, near_activity_);
  if (limiter_ != nullptr) limiter_->process(level_out_);
  mute_ramp_.process(level_out_);
  copy<float>(level_out_.view(), send);
}

/// Rooms and tables rumble below any voice, and behind the canceller that is as loud as the echo
/// that is left. A gain on spectra turns no phase; a filter in time would, up to 300 Hz.
void Engine::set_low_cut(float hz) noexcept {
  if (hz == low_cut_hz_) return;
  low_cut_hz_ = hz;
  const float step =
      static_cast<float>(config_.sample_rate) / static_cast<float>(dsp::fft_size_for_hop(hop_));
  float at = 0.0F;
  for (float& g : low_cut_gain_[0]) {
    const float r = at > 0.0F ? hz / at : 0.0F;
    const float r4 = r * r * r * r;  // Butterworth of fourth order
    g = at > 0.0F || hz <= 0.0F ? 1 / std::sqrt(1 + r4 * r4) : 0.0F;
    at += step;
  }
}

void Engine::set_params(const EngineParams& p) noexcept {
  params_ = p;
  set_low_cut(has_echo_control() ? clamped(p.low_cut_hz, 0.0F, 200.0F, 80.0F) : 0.0F);
  const float speaker_db = clamped(p.speaker_gain_db, -60.0F, 12.0F, 0.0F);
  speaker_gain_.set_target(speaker_db <= -60.0F ? 0.0F : db_to_gain(speaker_db));
  mute_ramp_.set_target(p.muted ? 0.0F : 1.0F);
  if (has_echo_control()) {
    canceller_->set_params({.enabled = p.echo_cancellation, .adapt = true});
    residual_->set_params({.enabled = p.residual_suppression});
  }
  const bool suppress_noise = p.noise_suppression && config_.chain != Chain::kEcho;
  noise_->set_params(
      {.enabled = suppress_noise,
       .max_reduction_db = clamped(p.noise_reduction_db, 0.0F, 40.0F, 25.0F),
       .dereverberation = clamped(p.dereverberation_percent, 0.0F, 100.0F, 25.0F) / 50.0F});
  if (has_beams()) {
    const float azimuth = clamped(p.fixed_azimuth_deg, -360.0F, 720.0F, 0.0F);
    finder_->set_params(
        {.fixed = !p.steering, .fixed_azimuth_deg = std::fmod(azimuth + 360.0F, 360.0F)});
  }
  if (agc_ != nullptr) {
    agc_->set_params({.enabled = p.agc,
                      .target_dbfs = clamped(p.agc_target_dbfs, -40.0F, -10.0F, -23.0F),
                      .max_gain_db = clamped(p.agc_max_gain_db, 0.0F, 30.0F, 18.0F)});
  }
}

void Engine::reset() noexcept {
  taps_.reset();
  speaker_limiter_->reset();
  if (has_echo_control()) {
    aligner_->reset();
    canceller_->reset();
    residual_->reset();
    comfort_->reset();
    echo_analysis_->reset();
    far_analysis_->reset();
    echo_meter_.reset();
  }
  if (has_beams()) {
    finder_->reset();
    beams_->reset();
    mixer_->reset();
    clocks_->reset();
    ring_floor_.reset();
    for (auto& floor : satellite_floor_) floor.reset();
    offset_ms_.fill(0.0F);
    satellite_heard_near_.fill(false);
    steady_blocks_ = 0;
  }
  mask_->reset();
  error_analysis_->reset();
  synthesis_->reset();
  noise_->reset();
  if (agc_ != nullptr) agc_->reset();
  if (limiter_ != nullptr) limiter_->reset();
  far_active_ = far_only_ = false;
  far_hangover_ = 0;
  near_activity_ = 0.0F;
}

int Engine::latency_frames() const {
  return synthesis_->latency_frames() + (limiter_ != nullptr ? limiter_->latency_frames() : 0);
}

Engine::Decisions Engine::decisions() const noexcept {
  return {.spectral_gain = total_gain_[0],
          .level_in = level_in_[0],
          .level_out = level_out_[0],
          .level_delay = limiter_ != nullptr ? limiter_->latency_frames() : 0,
          .echo_removed = echo_.view(),
          .reference = reference_.view(),
          .beams = beams_.get(),
          .mixer = sats_ > 0 ? mixer_.get() : nullptr};
}

Status Engine::build() {
  const int rate = config_.sample_rate;
  if (rate != 48000 && rate != 16000) {
    return Error{"the engine runs at 48000 or 16000 Hz, not at " + std::to_string(rate)};
  }
  CONCLAVE_CHECK_STATUS(dsp::check_geometry(config_.geometry));
  if (config_.references < 1 || config_.references > kMaxReferences) {
    return Error{"an engine with " + std::to_string(config_.references) +
                 " loudspeaker channels; 1.." + std::to_string(kMaxReferences) + " are possible"};
  }
  hop_ = rate / kFramesPerSecond;
  ring_ = static_cast<int>(config_.geometry.ring.size());
  sats_ = static_cast<int>(config_.geometry.satellites.size());
  mics_ = ring_ + sats_;
  if (mics_ > kMaxMics || sats_ > kMaxSatellites) {
    return Error{"at most " + std::to_string(kMaxMics) + " microphones, " +
                 std::to_string(kMaxSatellites) + " of them satellites"};
  }
  lines_ = has_beams() ? mics_ : 1;
  const int fft_size = dsp::fft_size_for_hop(hop_);
  bins_ = fft_size / 2 + 1;

  CONCLAVE_TRY(taps_, Taps::create(config_.taps, mics_, hop_, config_.tap_frames));
  CONCLAVE_TRY(
      speaker_limiter_,
      dsp::Limiter::create({.sample_rate = rate, .hop = hop_, .channels = config_.references}));
  CONCLAVE_TRY(error_analysis_, dsp::StftAnalysis::create(lines_, hop_));
  CONCLAVE_TRY(synthesis_, dsp::StftSynthesis::create(1, hop_));
  error_spectra_ = SpectrumBuffer(lines_, bins_);
  echo_ = FrameBuffer(lines_, hop_);
  beam_ = SpectrumBuffer(1, bins_);
  level_in_ = FrameBuffer(1, hop_);
  level_out_ = FrameBuffer(1, hop_);
  residual_gain_ = FrameBuffer(1, bins_);
  noise_gain_ = FrameBuffer(1, bins_);
  std::ranges::fill(noise_gain_[0], 1.0F);
  total_gain_ = FrameBuffer(1, bins_);
  low_cut_gain_ = FrameBuffer(1, bins_);
  std::ranges::fill(low_cut_gain_[0], 1.0F);
  std::ranges::fill(residual_gain_[0], 1.0F);

  if (has_echo_control()) {
    CONCLAVE_TRY(canceller_,
                 dsp::EchoCanceller::create(
                     {.sample_rate = rate,
                      .microphones = lines_,
                      .hop = hop_,
                      .tail_ms = config_.echo_tail_ms,
                      .high_tail_ms = lines_ > 1 ? kArrayHighTailMs : config_.echo_tail_ms,
                      .references = config_.references}));
    CONCLAVE_TRY(aligner_, ReferenceAligner::create(rate, hop_, config_.echo_tail_ms,
                                                    canceller_->max_shift(), config_.references));
    CONCLAVE_TRY(residual_, dsp::ResidualSuppressor::create(
                                {.sample_rate = rate, .hop = hop_, .bins = bins_}));
    CONCLAVE_TRY(comfort_, dsp::ComfortNoise::create({.fft_size = fft_size, .hop = hop_}));
    CONCLAVE_TRY(echo_analysis_, dsp::StftAnalysis::create(lines_, hop_));
    CONCLAVE_TRY(far_analysis_, dsp::StftAnalysis::create(config_.references, hop_));
    reference_ = FrameBuffer(config_.references, hop_);
    error_ = FrameBuffer(lines_, hop_);
    echo_spectra_ = SpectrumBuffer(lines_, bins_);
    far_spectra_ = SpectrumBuffer(config_.references, bins_);
    far_spectrum_ = SpectrumBuffer(1, bins_);
    beam_echo_ = SpectrumBuffer(1, bins_);
  }
  if (has_beams()) {
    CONCLAVE_TRY(finder_, dsp::DirectionFinder::create({.geometry = config_.geometry,
                                                        .sample_rate = rate,
                                                        .fft_size = fft_size,
                                                        .hop = hop_}));
    CONCLAVE_TRY(beams_, dsp::BeamBank::create({.geometry = config_.geometry,
                                                .sample_rate = rate,
                                                .fft_size = fft_size,
                                                .hop = hop_}));
    CONCLAVE_TRY(
        mixer_, dsp::SatelliteMixer::create(
                    {.sample_rate = rate, .fft_size = fft_size, .hop = hop_, .satellites = sats_}));
    CONCLAVE_TRY(clocks_, ClockObserver::create(rate, hop_, sats_));
  }
  CONCLAVE_TRY(mask_, dsp::LearnedMask::create(rate, hop_));
  noise_advice_ = FrameBuffer(1, bins_);
  CONCLAVE_TRY(noise_, dsp::NoiseSuppressor::create(
                           {.sample_rate = rate, .fft_size = fft_size, .hop = hop_}));
  if (!config_.raw_gain && config_.chain != Chain::kEcho) {
    CONCLAVE_TRY(agc_, dsp::Agc::create({.sample_rate = rate, .hop = hop_}));
    CONCLAVE_TRY(limiter_, dsp::Limiter::create({.sample_rate = rate, .hop = hop_}));
  }

  const auto meter = [&](int channels) {
    return dsp::LevelMeter::create({.sample_rate = rate, .channels = channels});
  };
  CONCLAVE_TRY(mic_meter_, meter(mics_));
  CONCLAVE_TRY(speaker_meter_, meter(1));
  CONCLAVE_TRY(sent_meter_, meter(1));
  echo_meter_ = EchoMeter((latency_frames() + hop_ - 1) / hop_);

  metrics_.mic_count = mics_;
  metrics_.ring_mics = ring_;
  metrics_.mic_rms_db.fill(kSilenceDb);
  metrics_.mic_peak_db.fill(kSilenceDb);
  metrics_.aec_delay_ms = -1.0F;
  set_params(config_.params);
  // The first parameters are where everything starts: nothing ramps there.
  reset();
  speaker_gain_.jump();
  mute_ramp_.jump();
  return {};
}

}  // namespace conclave::engine
