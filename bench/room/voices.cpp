// SPDX-License-Identifier: Apache-2.0
#include "bench/room/voices.h"

#include <sndfile.h>
#include <spandsp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numbers>
#include <utility>

#include "bench/room/random.h"
#include "bench/room/sinc.h"

namespace conclave::bench::room {
namespace {

namespace fs = std::filesystem;
using Signal = std::vector<float>;

constexpr double kShortestPrompt = 0.8;  // seconds; shorter ones are single digits and letters
constexpr double kLongestPrompt = 7.0;
constexpr double kG722BytesPerSecond = 8000;

std::vector<double> frame_energies(std::span<const float> signal, int sample_rate) {
  const auto frame = static_cast<std::size_t>(sample_rate / 100);
  std::vector<double> energies;
  for (std::size_t first = 0; first + frame <= signal.size(); first += frame) {
    double sum = 0;
    for (const float x : signal.subspan(first, frame))
      sum += static_cast<double>(x) * static_cast<double>(x);
    energies.push_back(sum / static_cast<double>(frame));
  }
  return energies;
}

/// Cuts silence at both ends (but for 30 ms), fades the cuts, and scales to active RMS 1.
Signal dressed(std::span<const float> signal, int sample_rate) {
  const auto energies = frame_energies(signal, sample_rate);
  double loudest = 0;
  for (const double e : energies) loudest = std::max(loudest, e);
  const auto speaks = [&](double e) { return e > loudest * 1e-4; };
  const auto first = std::find_if(energies.begin(), energies.end(), speaks);
  const auto last = std::find_if(energies.rbegin(), energies.rend(), speaks);
  if (loudest <= 0 || first == energies.end()) return {};
  const auto frame = static_cast<std::ptrdiff_t>(sample_rate / 100);
  const std::ptrdiff_t begin = std::max<std::ptrdiff_t>(0, (first - energies.begin() - 3) * frame);
  const std::ptrdiff_t end =
      std::min(static_cast<std::ptrdiff_t>(signal.size()), (energies.rend() - last + 3) * frame);
  Signal cut(signal.begin() + begin, signal.begin() + end);
  const auto scale = static_cast<float>(1 / std::max(active_rms(cut, sample_rate), 1e-9));
  for (float& x : cut) x *= scale;
  const auto fade = std::min(static_cast<std::size_t>(sample_rate / 100), cut.size() / 2);
  for (std::size_t i = 0; i < fade; ++i) {
    const float weight = static_cast<float>(i) / static_cast<float>(fade);
    cut[i] *= weight;
    cut[cut.size() - 1 - i] *= weight;
  }
  return cut;
}

/// A buzzing two-pole resonator bank on a glottal pulse train, with hiss between: nobody would call
/// it a voice, but it has a voice's pitch, formants, syllables and pauses.
Signal synthetic_utterance(int sample_rate, Random& random, bool deep) {
  const double seconds = random.uniform(1.2, 4.5);
  Signal out(static_cast<std::size_t>(seconds * sample_rate));
  std::array<std::array<double, 2>, 4> state{};
  double phase = 0;
  std::size_t n = 0;
  double pitch = deep ? 110 : 200;
  while (n < out.size()) {
    const auto length = static_cast<std::size_t>(random.uniform(0.11, 0.26) * sample_rate);
    const double size = deep ? 1.0 : 1.16;
    const std::array<double, 4> formants{
        size * random.uniform(280, 780), size * random.uniform(900, 2100),
        size * random.uniform(2300, 2900), size * random.uniform(3300, 3900)};
    const bool hiss = random.uniform() < 0.22;
    const double loudness = random.uniform(0.5, 1.0);
    const double goal = (deep ? 110 : 200) * random.uniform(0.85, 1.2);
    for (std::size_t i = 0; i < length && n < out.size(); ++i, ++n) {
      const double t = static_cast<double>(i) / static_cast<double>(length);
      const double envelope = loudness * std::pow(std::sin(std::numbers::pi * t), 0.7);
      pitch += (goal - pitch) * 2e-4;
      phase += pitch / sample_rate;
      double source = 0.02 * random.gaussian();
      if (hiss) {
        source = 0.25 * random.gaussian();
      } else if (phase >= 1) {
        source += 1;
      }
      if (phase >= 1) phase -= 1;
      double sound = 0;
      for (std::size_t f = 0; f < formants.size(); ++f) {
        const double centre = hiss ? formants[f] * 1.6 : formants[f];
        const double r =
            std::exp(-std::numbers::pi * (70.0 + 40.0 * static_cast<double>(f)) / sample_rate);
        const double angle = 2 * std::numbers::pi * centre / sample_rate;
        const double y = source + 2 * r * std::cos(angle) * state[f][0] - r * r * state[f][1];
        state[f][1] = state[f][0];
        state[f][0] = y;
        sound += y * (1 - r) * (f == 0 ? 1.0 : 0.7);
      }
      out[n] = static_cast<float>(envelope * sound);
    }
    n += static_cast<std::size_t>(random.uniform(0.0, 0.05) * sample_rate);
  }
  return out;
}

/// "en_US_f_Allison" -> "asterisk-core-sounds-en-g722".
std::string package_of(const std::string& voice) {
  return "asterisk-core-sounds-" + voice.substr(0, voice.find('_')) + "-g722";
}

/// "es" stands for the first voice of that language; a whole name for itself.
fs::path folder_of(const std::string& voice, const fs::path& sounds) {
  std::vector<fs::path> matches;
  std::error_code error;
  for (fs::directory_iterator it(sounds, error), end; !error && it != end; it.increment(error)) {
    if (it->path().filename().string().starts_with(voice + "_")) matches.push_back(it->path());
  }
  return matches.empty() ? sounds / voice : *std::min_element(matches.begin(), matches.end());
}

Result<std::vector<Signal>> prompts(const std::string& voice, int sample_rate, double seconds,
                                    Random& random, const std::string& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(folder_of(voice, folder), error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() != ".g722") continue;
    const double length = static_cast<double>(it->file_size(error)) / kG722BytesPerSecond;
    if (length >= kShortestPrompt && length <= kLongestPrompt) files.push_back(it->path());
  }
  if (files.empty()) {
    return Error{"voice \"" + voice + "\" is not in " + folder + "; install it: apt install " +
                 package_of(voice) + " (or choose the voice \"synthetic\")"};
  }
  std::sort(files.begin(), files.end());
  for (std::size_t i = files.size(); i-- > 1;)
    std::swap(files[i],
              files[static_cast<std::size_t>(random.uniform() * static_cast<double>(i + 1))]);
  std::vector<Signal> pieces;
  double have = 0;
  for (std::size_t i = 0; have < seconds && i < files.size(); ++i) {
    CONCLAVE_TRY(Signal raw, read_g722(files[i].string()));
    Signal piece = dressed(resample(raw, kG722Rate, sample_rate), sample_rate);
    have += static_cast<double>(piece.size()) / sample_rate;
    if (!piece.empty()) pieces.push_back(std::move(piece));
  }
  return pieces;
}

Result<std::vector<Signal>> recording(const std::string& path, int sample_rate) {
  SF_INFO info{};
  const std::unique_ptr<SNDFILE, int (*)(SNDFILE*)> file(sf_open(path.c_str(), SFM_READ, &info),
                                                         sf_close);
  if (!file) return Error{"voice file " + path + " cannot be read: " + sf_strerror(nullptr)};
  if (info.channels != 1) return Error{"voice file " + path + " is not mono"};
  Signal raw(static_cast<std::size_t>(info.frames));
  raw.resize(static_cast<std::size_t>(sf_readf_float(file.get(), raw.data(), info.frames)));
  const Signal all = resample(raw, info.samplerate, sample_rate);
  std::vector<Signal> pieces;
  const auto most = static_cast<std::size_t>(kLongestPrompt * sample_rate);
  for (std::size_t first = 0; first < all.size(); first += most) {
    Signal piece =
        dressed(std::span(all).subspan(first, std::min(most, all.size() - first)), sample_rate);
    if (!piece.empty()) pieces.push_back(std::move(piece));
  }
  return pieces;
}

}  // namespace

double active_rms(std::span<const float> signal, int sample_rate) {
  const auto energies = frame_energies(signal, sample_rate);
  double loudest = 0;
  for (const double e : energies) loudest = std::max(loudest, e);
  double sum = 0;
  int count = 0;
  for (const double e : energies) {
    if (e <= loudest * 0.00316) continue;
    sum += e;
    ++count;
  }
  return count == 0 ? 0 : std::sqrt(sum / count);
}

Result<std::vector<float>> read_g722(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) return Error{"G.722 file " + path + " cannot be read; check the path"};
  std::vector<std::uint8_t> bytes;
  std::array<std::uint8_t, 16384> chunk{};
  while (const std::size_t got = std::fread(chunk.data(), 1, chunk.size(), file.get()))
    bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(got));
  if (bytes.empty()) return Error{"G.722 file " + path + " is empty"};
  const std::unique_ptr<g722_decode_state_t, int (*)(g722_decode_state_t*)> decoder(
      g722_decode_init(nullptr, 64000, 0), g722_decode_free);
  std::vector<std::int16_t> samples(bytes.size() * 2);
  const int count =
      g722_decode(decoder.get(), samples.data(), bytes.data(), static_cast<int>(bytes.size()));
  Signal out(static_cast<std::size_t>(std::max(count, 0)));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(samples[i]) * (1.0F / 32768.0F);
  return out;
}

Result<std::vector<std::vector<float>>> load_utterances(const std::string& voice, int sample_rate,
                                                        double seconds, std::uint64_t seed,
                                                        const std::string& folder) {
  Random random(seed);
  std::vector<Signal> pieces;
  if (voice == "synthetic") {
    const bool deep = (seed & 1) != 0;
    double have = 0;
    while (have < seconds) {
      pieces.push_back(dressed(synthetic_utterance(sample_rate, random, deep), sample_rate));
      have += static_cast<double>(pieces.back().size()) / sample_rate;
    }
    return pieces;
  }
  if (voice.find('/') != std::string::npos || voice.ends_with(".wav") || voice.ends_with(".flac")) {
    CONCLAVE_TRY(pieces, recording(voice, sample_rate));
  } else {
    CONCLAVE_TRY(pieces, prompts(voice, sample_rate, seconds, random, folder));
  }
  if (pieces.empty()) return Error{"voice \"" + voice + "\" holds nothing but silence"};
  double have = 0;
  for (const Signal& piece : pieces) have += static_cast<double>(piece.size()) / sample_rate;
  for (std::size_t i = 0; have < seconds; ++i) {
    pieces.push_back(Signal(pieces[i]));
    have += static_cast<double>(pieces.back().size()) / sample_rate;
  }
  return pieces;
}

}  // namespace conclave::bench::room
