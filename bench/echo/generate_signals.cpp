// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/generate_signals.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "base/frame_view.h"
#include "bench/room/image_method.h"
#include "bench/room/loudspeaker.h"
#include "bench/room/matrix_convolver.h"
#include "bench/room/scene.h"
#include "bench/room/sinc.h"
#include "bench/room/voices.h"

namespace conclave::bench::echo {
namespace {

namespace fs = std::filesystem;
using room::Point;
using room::Random;

constexpr int kWideRate = 48000;
constexpr double kEchoDbfs = -26;  // active RMS at the microphone
constexpr double kFarRms = 0.05;   // of what the loudspeaker is given
constexpr double kFarPeak = 0.45;
constexpr double kMicrophoneAway = 0.08;  // metres from the loudspeaker
constexpr double kFadeSeconds = 0.03;     // of a delay's jump

double amplitude(double db) { return std::pow(10.0, db / 20); }

void scale(Samples& samples, double gain) {
  for (float& x : samples) x = static_cast<float>(static_cast<double>(x) * gain);
}

void scale_active(Samples& samples, int rate, double rms) {
  const double active = room::active_rms(samples, rate);
  if (active > 0) scale(samples, rms / active);
}

double peak_of(const Samples& samples) {
  float peak = 0;
  for (const float x : samples) peak = std::max(peak, std::abs(x));
  return static_cast<double>(peak);
}

double rms_of(const Samples& samples) {
  double sum = 0;
  for (const float x : samples) sum += static_cast<double>(x) * static_cast<double>(x);
  return std::sqrt(sum / static_cast<double>(std::max<std::size_t>(samples.size(), 1)));
}

// First-order high-pass.
class HighPass {
 public:
  HighPass(double corner, int rate) : pole_(std::exp(-2 * std::numbers::pi * corner / rate)) {}
  double operator()(double x) {
    const double y = pole_ * (y_ + x - x_);
    x_ = x;
    y_ = y;
    return y;
  }

 private:
  double pole_;
  double x_ = 0;
  double y_ = 0;
};

// Breath above 7 kHz that follows the band from 4 kHz.
void add_breath(Samples& samples, int rate, Random& random) {
  constexpr double kShare = 0.5;
  constexpr double kFollow = 0.005;  // seconds
  std::array<HighPass, 2> upper{HighPass(4000, rate), HighPass(4000, rate)};
  std::array<HighPass, 4> breath{HighPass(7000, rate), HighPass(7000, rate), HighPass(7000, rate),
                                 HighPass(7000, rate)};
  const double follow = 1 - std::exp(-1 / (kFollow * rate));
  double level = 0;
  for (float& x : samples) {
    double band = static_cast<double>(x);
    for (auto& filter : upper) band = filter(band);
    level += follow * (std::abs(band) - level);
    double noise = random.gaussian();
    for (auto& filter : breath) noise = filter(noise);
    x += static_cast<float>(kShare * level * noise);
  }
}

Samples delayed(const Samples& samples, int frames) {
  Samples out(samples.size(), 0.0F);
  const auto shift = std::min(static_cast<std::size_t>(frames), samples.size());
  std::copy(samples.begin(), samples.end() - static_cast<std::ptrdiff_t>(shift),
            out.begin() + static_cast<std::ptrdiff_t>(shift));
  return out;
}

// Before `change` with the first response, after it with the second (if there is one).
Result<Samples> through_room(const Samples& in, const room::Response& first,
                             const room::Response& second, std::size_t change, int rate) {
  const int block = rate / 50;
  const auto taps = static_cast<int>(std::max(first.size(), second.size()));
  CONCLAVE_TRY(const auto convolver, room::MatrixConvolver::create(1, 1, block, taps));
  convolver->set_filter(0, convolver->make_filter(std::span(&first, 1)));
  FrameBuffer from(1, block);
  FrameBuffer to(1, block);
  Samples out;
  bool changed = second.empty();
  for (std::size_t at = 0; at < in.size(); at += static_cast<std::size_t>(block)) {
    if (!changed && at >= change) {
      convolver->set_filter(0, convolver->make_filter(std::span(&second, 1)));
      changed = true;
    }
    from.clear();
    const auto count = std::min(static_cast<std::size_t>(block), in.size() - at);
    std::copy_n(in.begin() + static_cast<std::ptrdiff_t>(at), count, from[0].begin());
    convolver->process(from, to);
    out.insert(out.end(), to[0].begin(), to[0].end());
  }
  out.resize(in.size());
  return out;
}

Samples on_other_clock(const Samples& in, double ppm) {
  constexpr int kBlock = 4096;
  room::ClockSkew skew(ppm, kBlock);
  Samples piece(static_cast<std::size_t>(room::ClockSkew::max_output(kBlock)));
  Samples padded(in);
  padded.resize(in.size() + static_cast<std::size_t>(2 * kBlock), 0.0F);
  Samples out;
  for (std::size_t at = 0; at + kBlock <= padded.size(); at += kBlock) {
    const int count = skew.process(std::span(padded).subspan(at, kBlock), piece);
    out.insert(out.end(), piece.begin(), piece.begin() + count);
  }
  out.erase(out.begin(), out.begin() + skew.delay_frames());
  out.resize(in.size(), 0.0F);
  return out;
}

// The room, and where loudspeaker, microphone and talker are in it.
class Place {
 public:
  Place(const Situation& situation, int rate, Random& random) {
    scene_.sample_rate = rate;
    scene_.seed = random.bits();
    scene_.size = {random.uniform(4.5, 8), random.uniform(3.5, 6), random.uniform(2.5, 3.2)};
    scene_.array_at = {scene_.size.x / 2 + random.uniform(-0.3, 0.3),
                       scene_.size.y / 2 + random.uniform(-0.3, 0.3), 0.75};
    const double chosen = random.uniform(0.25, 0.5);
    scene_.rt60 = situation.rt60 > 0 ? situation.rt60 : chosen;
    scene_.rt60_high = 0.7 * scene_.rt60;
    const double angle = random.uniform(0, 2 * std::numbers::pi);
    microphone_ = {kMicrophoneAway * std::cos(angle), kMicrophoneAway * std::sin(angle), 0};
    const double seat = random.uniform(0, 2 * std::numbers::pi);
    const double away = random.uniform(0.7, 1.6);
    talker_ = {away * std::cos(seat), away * std::sin(seat), 0.45};
  }

  room::Response echo_path() const { return path({0, 0, 0}, microphone_); }
  // The phone was moved by a hand's breadth and turned: louder by 3 dB, too.
  room::Response echo_path_after_change() const {
    const Point moved{0.25, 0.1, 0};
    const Point microphone = moved + Point{microphone_.y, microphone_.x, 0};
    auto response = path(moved, microphone);
    for (float& tap : response) tap *= 1.4F;
    return response;
  }
  room::Response near_path() const { return path(talker_, microphone_); }

 private:
  room::Response path(Point from, Point to) const {
    return room::Shoebox(scene_).responses(from, std::span(&to, 1), 0, 1)[0];
  }

  room::Scene scene_;
  Point microphone_;
  Point talker_;
};

Result<Samples> make_far(const Situation& situation, int rate, const Voices& voices,
                         Random& random) {
  Samples far;
  const auto voice = static_cast<int>(random.bits() % static_cast<std::uint64_t>(voices.count()));
  if (situation.music) {
    far = hold_music(rate, situation.seconds, random);
  } else {
    CONCLAVE_TRY(far, voices.talk(voice, rate, situation.seconds, random.bits()));
  }
  scale(far, kFarRms);
  keep_spans(far, situation.far, rate);
  scale(far, std::min(1.0, kFarPeak / std::max(peak_of(far), 1e-9)));
  return far;
}

Samples through_loudspeaker(const Samples& in, const Situation& situation, int rate) {
  Samples out(in.size());
  // Driven as a small loudspeaker is near its full level.
  const double level = 1 / std::max(peak_of(in), 1e-9);
  Samples loud(in);
  scale(loud, level);
  room::Loudspeaker(rate, situation.drive, 0, 1).process(loud, out);
  scale(out, 1 / level);
  if (situation.clip > 0) {
    const auto most = static_cast<float>(situation.clip * peak_of(out));
    for (float& x : out) x = std::clamp(x, -most, most);
  }
  return out;
}

Result<Samples> make_echo(const Situation& situation, int rate, const Samples& far,
                          const Place& place) {
  const auto frames_of = [rate](double ms) {
    return static_cast<int>(std::lround(ms * rate / 1000));
  };
  const auto change = static_cast<std::size_t>(situation.change_seconds * rate);
  Samples played = delayed(far, frames_of(situation.delay_ms));
  if (situation.jump_ms > 0) {
    const Samples later = delayed(far, frames_of(situation.delay_ms + situation.jump_ms));
    const double fade = kFadeSeconds * rate;
    for (std::size_t i = change; i < played.size(); ++i) {
      const auto weight = static_cast<float>(std::min(1.0, static_cast<double>(i - change) / fade));
      played[i] += weight * (later[i] - played[i]);
    }
  }
  const bool moved = situation.change_seconds > 0 && situation.jump_ms <= 0;
  CONCLAVE_TRY(
      Samples echo,
      through_room(through_loudspeaker(played, situation, rate), place.echo_path(),
                   moved ? place.echo_path_after_change() : room::Response(), change, rate));
  if (situation.ppm != 0) echo = on_other_clock(echo, situation.ppm);
  scale_active(echo, rate, amplitude(kEchoDbfs));
  return echo;
}

Result<Samples> make_noise(const Situation& situation, int rate, const Voices& voices,
                           Random& random) {
  Samples noise = ventilation(rate, situation.seconds, random);
  if (situation.babble) {
    constexpr int kTalkers = 6;
    Samples sum(noise.size(), 0.0F);
    for (int t = 0; t < kTalkers; ++t) {
      CONCLAVE_TRY(const auto talker,
                   voices.talk(t % voices.count(), rate, situation.seconds, random.bits()));
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += talker[i];
    }
    scale(sum, 1 / std::max(rms_of(sum), 1e-9));
    for (std::size_t i = 0; i < sum.size(); ++i) noise[i] += sum[i];
  }
  scale(noise, amplitude(kEchoDbfs + situation.noise_db) / std::max(rms_of(noise), 1e-9));
  return noise;
}

}  // namespace

Result<Voices> Voices::find(const std::string& speech) {
  Voices voices;
  if (speech == "synthetic") {
    voices.names_ = {speech};
    return voices;
  }
  voices.folder_ = speech.empty() ? room::kVoiceFolder : speech;
  std::error_code failed;
  for (fs::directory_iterator it(voices.folder_, failed), end; !failed && it != end;
       it.increment(failed)) {
    const auto extension = it->path().extension();
    if (it->is_directory(failed) && it->path().filename().string().find('_') != std::string::npos) {
      voices.names_.push_back(it->path().filename().string());
    } else if (extension == ".wav" || extension == ".flac") {
      voices.names_.push_back(it->path().string());
    }
  }
  std::sort(voices.names_.begin(), voices.names_.end());
  if (!voices.names_.empty()) return voices;
  if (speech.empty()) {
    return Error{voices.folder_ +
                 ": holds no voices; install them: apt install asterisk-core-sounds-en-g722 (or "
                 "give --speech synthetic)"};
  }
  return Error{speech + ": holds neither WAV or FLAC files nor folders of G.722 prompts"};
}

Result<Samples> Voices::talk(int voice, int rate, double seconds, std::uint64_t seed) const {
  const auto& name = names_[static_cast<std::size_t>(voice)];
  CONCLAVE_TRY(const auto pieces, room::load_utterances(name, rate, seconds, seed, folder_));
  Random random(seed);
  Samples out;
  const auto frames = static_cast<std::size_t>(seconds * rate);
  for (std::size_t k = 0; out.size() < frames; ++k) {
    const auto& piece = pieces[k % pieces.size()];
    out.insert(out.end(), piece.begin(), piece.end());
    out.resize(out.size() + static_cast<std::size_t>(random.uniform(0.1, 0.4) * rate), 0.0F);
  }
  out.resize(frames);
  if (rate == kWideRate && name != "synthetic") add_breath(out, rate, random);
  return out;
}

Samples hold_music(int rate, double seconds, Random& random) {
  constexpr double kChordSeconds = 2;
  constexpr std::array<double, 5> kSteps{0, 3, 5, 7, 10};  // semitones
  constexpr std::array<double, 6> kVoices{1, 1.26, 1.5, 2, 3, 4};
  Samples out(static_cast<std::size_t>(seconds * rate));
  double root = 220;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double t = static_cast<double>(i) / rate;
    const double since = std::fmod(t, kChordSeconds);
    if (i == 0 || since < 1.0 / rate)
      root = 220 * std::pow(2.0, kSteps[random.bits() % kSteps.size()] / 12);
    const double vibrato = 2 * std::sin(2 * std::numbers::pi * 5 * t);
    double sum = 0;
    for (const double voice : kVoices)
      sum += std::sin(2 * std::numbers::pi * root * voice * t + vibrato) / voice;
    out[i] = static_cast<float>(sum * std::exp(-since) * std::min(1.0, since / 0.005));
  }
  scale_active(out, rate, 1);
  return out;
}

Samples ventilation(int rate, double seconds, Random& random) {
  // Three poles an octave or more apart approximate -3 dB an octave (Kellet's "economy" filter).
  Samples out(static_cast<std::size_t>(seconds * rate));
  const double per = 44100.0 / rate;
  const std::array<double, 3> poles{std::pow(0.99765, per), std::pow(0.963, per),
                                    std::pow(0.57, per)};
  constexpr std::array<double, 3> kGains{0.0990460, 0.2965164, 1.0526913};
  std::array<double, 3> state{};
  double sum_squares = 0;
  for (float& x : out) {
    const double white = random.gaussian();
    double sum = 0.1848 * white;
    for (std::size_t p = 0; p < poles.size(); ++p) {
      state[p] = poles[p] * state[p] + kGains[p] * white;
      sum += state[p];
    }
    x = static_cast<float>(sum);
    sum_squares += sum * sum;
  }
  const double rms = std::sqrt(sum_squares / static_cast<double>(out.size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] += static_cast<float>(
        0.3 * rms * std::sin(2 * std::numbers::pi * 120 * static_cast<double>(i) / rate));
  }
  scale(out, 1 / rms_of(out));
  return out;
}

void keep_spans(Samples& samples, const std::vector<Span>& spans, int rate) {
  constexpr double kRamp = 0.01;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double t = static_cast<double>(i) / rate;
    double weight = 0;
    for (const auto& span : spans)
      weight = std::max(weight, std::min({(t - span.begin) / kRamp, (span.end - t) / kRamp, 1.0}));
    samples[i] *= static_cast<float>(std::max(weight, 0.0));
  }
}

Result<Rendered> render_situation(const Situation& situation, int rate, const Voices& voices,
                                  std::uint64_t seed) {
  Random random(seed);
  const Place place(situation, rate, random);
  const auto frames = static_cast<std::size_t>(situation.seconds * rate);
  Rendered out{rate, Samples(frames), Samples(frames), Samples(frames), Samples(frames)};
  if (!situation.far.empty()) {
    CONCLAVE_TRY(out.far, make_far(situation, rate, voices, random));
    CONCLAVE_TRY(out.echo, make_echo(situation, rate, out.far, place));
  }
  if (!situation.near.empty()) {
    const auto voice = static_cast<int>(random.bits() % static_cast<std::uint64_t>(voices.count()));
    CONCLAVE_TRY(Samples mouth, voices.talk(voice, rate, situation.seconds, random.bits()));
    keep_spans(mouth, situation.near, rate);
    CONCLAVE_TRY(out.near, through_room(mouth, place.near_path(), {}, 0, rate));
    scale_active(out.near, rate, amplitude(kEchoDbfs + situation.near_db));
  }
  CONCLAVE_TRY(const Samples noise, make_noise(situation, rate, voices, random));
  for (std::size_t i = 0; i < frames; ++i) out.mic[i] = out.near[i] + out.echo[i] + noise[i];
  const double gain = std::min(1.0, 0.98 / std::max(peak_of(out.mic), 1e-9));
  for (Samples* samples : {&out.mic, &out.near, &out.echo}) scale(*samples, gain);
  return out;
}

}  // namespace conclave::bench::echo
