// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "bench/echo/block_system.h"
#include "bench/echo/child.h"
#include "bench/echo/sound.h"
#include "bench/echo/system.h"

namespace conclave::bench::echo {
namespace {

bool good_name(const std::string& name) {
  return !name.empty() && name.size() <= 40 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '+';
  }) && name[0] != '.';
}

// Somebody else's program on files.
class CommandSystem : public System {
 public:
  CommandSystem(std::string name, std::vector<std::string> words, double seconds)
      : name_(std::move(name)), words_(std::move(words)), seconds_(seconds) {}
  const std::string& name() const override { return name_; }

  Result<SystemOutput> run(const SystemInput& input, const std::atomic<bool>& stop) const override {
    CONCLAVE_TRY(const auto folder, TempFolder::create());
    const std::string out = folder.path() + "/out.wav";
    auto words = words_;
    fill_in(words, "out", out);
    fill_in(words, "rate", std::to_string(input.rate));
    CONCLAVE_CHECK_STATUS(hand_over(words, "mic", folder.path(), input.mics, input.rate));
    CONCLAVE_CHECK_STATUS(hand_over(words, "far", folder.path(), input.far, input.rate));
    CONCLAVE_TRY(const auto child, run_child(words, "", seconds_, stop));
    CONCLAVE_TRY(const auto sound, load_sound(out));
    if (sound.rate != input.rate) {
      return Error{name_ + ": gave a file of " + std::to_string(sound.rate) + " Hz instead of " +
                   std::to_string(input.rate)};
    }
    SystemOutput result;
    result.sent.assign(sound.samples[0].begin(), sound.samples[0].end());
    const auto frames = static_cast<std::size_t>(input.mics.frames());
    result.sent.resize(frames);
    result.cpu.mean_us = child.cpu_seconds * 1e6 /
                         std::max(1.0, std::ceil(100.0 * static_cast<double>(frames) / input.rate));
    return result;
  }

 private:
  // {mic}: 32-bit float; {mic16}: 16-bit integers, which more programs read.
  static Status hand_over(std::vector<std::string>& words, const std::string& key,
                          const std::string& folder, const FrameBuffer& samples, int rate) {
    const auto wanted = [&](const std::string& mark) {
      return std::ranges::any_of(words, [&](const auto& word) {
        return word.find("{" + mark + "}") != std::string::npos;
      });
    };
    if (wanted(key)) {
      const std::string path = folder + "/" + key + ".wav";
      CONCLAVE_CHECK_STATUS(save_sound(path, samples, rate));
      fill_in(words, key, path);
    }
    if (wanted(key + "16")) {
      const std::string path = folder + "/" + key + "16.wav";
      CONCLAVE_CHECK_STATUS(save_sound_16_bit(path, samples, rate));
      fill_in(words, key + "16", path);
    }
    return {};
  }

  std::string name_;
  std::vector<std::string> words_;
  double seconds_;
};

Result<std::unique_ptr<System>> make_command_system(const std::string& name,
                                                    const std::string& command, double seconds) {
  CONCLAVE_TRY(auto words, split_command(command));
  if (command.find("{out}") == std::string::npos ||
      (command.find("{mic}") == std::string::npos &&
       command.find("{mic16}") == std::string::npos)) {
    return Error{"system " + name + ": its command needs {mic} (or {mic16}) and {out}"};
  }
  return std::unique_ptr<System>(std::make_unique<CommandSystem>(name, std::move(words), seconds));
}

}  // namespace

const std::vector<KnownSystem>& known_systems() {
  static const std::vector<KnownSystem> kSystems = {
      {"conclave", "this project's --chain echo"},
      {"conclave-linear", "its linear canceller alone"},
      {"conclave-ns", "its whole chain with noise suppression, no level control"},
      {"speexdsp", "libspeexdsp: echo canceller (200 ms) and preprocessor"},
      {"speexdsp-mdf", "libspeexdsp: echo canceller alone"},
      {"webrtc", "WebRTC audio processing 0.3: echo canceller before AEC3, high suppression"},
      {"webrtc-ns", "the same with its noise suppression"},
      {"none", "the microphone as it is"},
  };
  return kSystems;
}

Result<std::unique_ptr<System>> make_system(const std::string& what, const SystemOptions& options) {
  const auto equals = what.find('=');
  if (equals != std::string::npos) {
    const std::string name = what.substr(0, equals);
    const auto same = [&](const KnownSystem& known) { return name == known.name; };
    if (!good_name(name) || std::ranges::any_of(known_systems(), same)) {
      return Error{"\"" + name +
                   "\" is no name for a system: letters, digits and -_.+, and not one of ours"};
    }
    return make_command_system(name, what.substr(equals + 1), options.command_seconds);
  }
  if (what == "conclave") return make_conclave_system(what, ConclaveKind::kEcho);
  if (what == "conclave-linear") return make_conclave_system(what, ConclaveKind::kLinear);
  if (what == "conclave-ns") return make_conclave_system(what, ConclaveKind::kNoise);
  if (what == "speexdsp") return make_speexdsp_system(what, true);
  if (what == "speexdsp-mdf") return make_speexdsp_system(what, false);
  if (what == "webrtc") return make_webrtc_system(what, false);
  if (what == "webrtc-ns") return make_webrtc_system(what, true);
  if (what == "none") return make_none_system();
  std::string names;
  for (const auto& known : known_systems()) names += std::string(known.name) + ", ";
  return Error{"\"" + what + "\" is no system; there are " + names + "and NAME=COMMAND"};
}

}  // namespace conclave::bench::echo
