// SPDX-License-Identifier: Apache-2.0
#include "dsp/level/agc.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

namespace conclave::dsp {
namespace {

constexpr float kRiseDbPerSecond = 6;
constexpr float kFallDbPerSecond = 18;
constexpr float kSpeechActivity = 0.5F;
constexpr float kRelativeGateDb = 12;   // below the speech level a frame is a pause or a room tail
constexpr float kSettleSeconds = 0.4F;  // of speech, before the first opinion counts
constexpr float kMemorySeconds = 2;     // of speech, not of time

/// Transposed direct form II.
struct Biquad {
  float b0 = 1, b1 = 0, b2 = 0, a1 = 0, a2 = 0;
  float z1 = 0, z2 = 0;

  float step(float x) noexcept {
    const float y = b0 * x + z1;
    z1 = b1 * x - a1 * y + z2;
    z2 = b2 * x - a2 * y;
    return y;
  }
  void clear() noexcept { z1 = z2 = 0; }
};

/// The two stages of BS.1770's K-weighting for any rate: its analogue prototypes (a shelf of 4 dB
/// at 1682 Hz and a high-pass at 38 Hz) through the bilinear transform, as libebur128 does.
Biquad shelf(double rate) {
  const double k = std::tan(std::numbers::pi * 1681.974450955533 / rate);
  const double q = 0.7071752369554196;
  const double vh = std::pow(10.0, 3.999843853973347 / 20);
  const double vb = std::pow(vh, 0.4996667741545416);
  const double a0 = 1 + k / q + k * k;
  Biquad s;
  s.b0 = static_cast<float>((vh + vb * k / q + k * k) / a0);
  s.b1 = static_cast<float>(2 * (k * k - vh) / a0);
  s.b2 = static_cast<float>((vh - vb * k / q + k * k) / a0);
  s.a1 = static_cast<float>(2 * (k * k - 1) / a0);
  s.a2 = static_cast<float>((1 - k / q + k * k) / a0);
  return s;
}

/// The high-pass is moved up to 100 Hz: a voice has nothing below, a table does.
Biquad high_pass(double rate) {
  const double k = std::tan(std::numbers::pi * 100.0 / rate);
  const double q = 0.5003270373238773;
  const double a0 = 1 + k / q + k * k;
  Biquad s;
  s.b0 = static_cast<float>(1 / a0);
  s.b1 = static_cast<float>(-2 / a0);
  s.b2 = static_cast<float>(1 / a0);
  s.a1 = static_cast<float>(2 * (k * k - 1) / a0);
  s.a2 = static_cast<float>((1 - k / q + k * k) / a0);
  return s;
}

float to_db(float power) { return 10 * std::log10(power + 1e-12F); }

}  // namespace

struct Agc::State {
  AgcConfig config;
  AgcParams params;
  Biquad shelf;
  Biquad high_pass;
  float frame_seconds = 0.01F;
  float speech_power = 0;    // mean square of accepted frames
  float speech_seconds = 0;  // how much speech that rests on, up to kMemorySeconds
  float gain_db = 0;
  float gain = 1;  // linear, at the end of the last frame
  AgcMetrics metrics;

  void listen(float power, float activity) noexcept;
  float wanted_db() const noexcept;
};

/// Takes a frame into the speech level if it is speech.
void Agc::State::listen(float power, float activity) noexcept {
  if (activity < kSpeechActivity || power < 1e-8F) return;
  const float level_db = to_db(power);
  const float speech_db = to_db(speech_power);
  if (speech_seconds > 0 && level_db < speech_db - kRelativeGateDb) {
    // Too quiet for the level believed so far. A quieter talker also looks like that, so belief
    // fades slowly and the gate comes down to him within a few seconds.
    speech_power *= std::pow(10.0F, -0.1F * 3 * frame_seconds);
    return;
  }
  speech_seconds = std::min(speech_seconds + frame_seconds, kMemorySeconds);
  const float share = std::min(1.0F, frame_seconds / speech_seconds);
  speech_power += share * (power - speech_power);
}

float Agc::State::wanted_db() const noexcept {
  if (!params.enabled) return 0;
  if (speech_seconds < kSettleSeconds) return gain_db;
  return std::clamp(params.target_dbfs - to_db(speech_power), -params.max_cut_db,
                    params.max_gain_db);
}

Agc::Agc(std::unique_ptr<State> state) : state_(std::move(state)) {}
Agc::~Agc() = default;

Result<std::unique_ptr<Agc>> Agc::create(const AgcConfig& config) {
  if (config.sample_rate < 8000 || config.sample_rate > 192000 || config.hop < 1 ||
      config.hop > config.sample_rate) {
    return Error{"level control: 8..192 kHz and a hop of up to a second are possible"};
  }
  auto state = std::make_unique<State>();
  state->config = config;
  state->shelf = shelf(config.sample_rate);
  state->high_pass = high_pass(config.sample_rate);
  state->frame_seconds = static_cast<float>(config.hop) / static_cast<float>(config.sample_rate);
  return std::unique_ptr<Agc>(new Agc(std::move(state)));
}

void Agc::set_params(const AgcParams& params) noexcept {
  AgcParams& p = state_->params;
  const auto within = [](float value, float low, float high, float fallback) {
    return std::isfinite(value) ? std::clamp(value, low, high) : fallback;
  };
  p.enabled = params.enabled;
  p.target_dbfs = within(params.target_dbfs, -40, -6, p.target_dbfs);
  p.max_gain_db = within(params.max_gain_db, 0, 40, p.max_gain_db);
  p.max_cut_db = within(params.max_cut_db, 0, 40, p.max_cut_db);
}

void Agc::reset() noexcept {
  State& s = *state_;
  s.shelf.clear();
  s.high_pass.clear();
  s.speech_power = s.speech_seconds = 0;
  s.gain_db = 0;
  s.gain = 1;
  s.metrics = {};
}

void Agc::process(FrameView inout, float activity) noexcept {
  State& s = *state_;
  assert(inout.channels() == 1);
  const auto x = inout[0];
  if (x.empty()) return;
  float sum = 0;
  for (float& v : x) {
    if (!(std::abs(v) < 1e4F)) v = 0;  // also NaN
    const float k = s.high_pass.step(s.shelf.step(v));
    sum += k * k;
  }
  const float power = sum / static_cast<float>(x.size());
  if (std::isfinite(activity)) s.listen(power, activity);

  // The gain moves only while there is speech: what is between words must not swell.
  const float step_up = kRiseDbPerSecond * s.frame_seconds;
  const float step_down = kFallDbPerSecond * s.frame_seconds;
  const bool talking = activity >= kSpeechActivity;
  if (talking || !s.params.enabled) {
    s.gain_db += std::clamp(s.wanted_db() - s.gain_db, -step_down, step_up);
  }
  const float next = std::pow(10.0F, s.gain_db / 20);
  const float slope = (next - s.gain) / static_cast<float>(x.size());
  float g = s.gain;
  for (float& v : x) {
    g += slope;
    v *= g;
  }
  s.gain = next;
  s.metrics.gain_db = s.gain_db;
  s.metrics.input_dbfs = to_db(power);
  s.metrics.speech_dbfs = s.speech_seconds > 0 ? to_db(s.speech_power) : -120.0F;
}

const AgcMetrics& Agc::metrics() const noexcept { return state_->metrics; }

}  // namespace conclave::dsp
