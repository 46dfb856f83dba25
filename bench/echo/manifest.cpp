// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/manifest.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "bench/echo/sound.h"

namespace conclave::bench::echo {
namespace {

namespace fs = std::filesystem;
using metrics::Talk;
using nlohmann::json;

constexpr int kFormat = 1;
constexpr double kLongestGap = 0.02;  // seconds that truth may be shorter or longer

constexpr std::array<std::pair<const char*, Talk>, 4> kTalks = {{{"far", Talk::kFar},
                                                                 {"double", Talk::kDouble},
                                                                 {"near", Talk::kNear},
                                                                 {"nobody", Talk::kNobody}}};

bool good_id(const std::string& id) {
  return !id.empty() && id.size() <= 80 && id[0] != '.' && std::ranges::all_of(id, [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
  });
}

// WHERE what "name" why
Error refusal(const std::string& where, const char* what, const std::string& name,
              const std::string& why) {
  return {where + what + " \"" + name + "\"" + why};
}

Status only_keys(const json& object, std::initializer_list<const char*> keys,
                 const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (std::ranges::find(keys, std::string_view(key)) == keys.end()) {
      return refusal(where, "unknown key", key, "; docs/bench.md lists those there are");
    }
  }
  return {};
}

Status read(const json& object, const char* key, std::string& to, const std::string& where) {
  if (!object.contains(key)) return {};
  if (!object[key].is_string() || object[key].get<std::string>().empty())
    return Error{where + "\"" + key + "\" must be a text"};
  to = object[key].get<std::string>();
  return {};
}

Status read(const json& object, const char* key, std::optional<double>& to,
            const std::string& where) {
  if (!object.contains(key)) return {};
  if (!object[key].is_number() || !std::isfinite(object[key].get<double>()) ||
      object[key].get<double>() < 0) {
    return Error{where + "\"" + key + "\" must be a number that is not negative"};
  }
  to = object[key].get<double>();
  return {};
}

// Whole path of a file below `root`.
Status resolve(std::string& path, const char* key, const fs::path& root, const std::string& where) {
  if (path.empty()) return {};
  const fs::path given(path);
  const fs::path whole = (root / given).lexically_normal();
  const fs::path inside = whole.lexically_relative(root.lexically_normal());
  if (given.is_absolute() || inside.empty() || *inside.begin() == "..") {
    return Error{where + "\"" + key + "\": " + path +
                 " leaves its root; name the folder under \"roots\""};
  }
  std::error_code ignored;
  if (!fs::is_regular_file(whole, ignored)) {
    return Error{where + "\"" + key + "\": " + whole.string() + " is not there"};
  }
  path = whole.string();
  return {};
}

Status read_talk(const json& object, Item& item, const std::string& where) {
  std::string talk;
  CONCLAVE_CHECK_STATUS(read(object, "talk", talk, where));
  item.talk = item.near.empty() ? Talk::kFar : item.far.empty() ? Talk::kNear : Talk::kDouble;
  if (talk.empty()) return {};
  const auto known = talk_of(talk);
  if (!known) return Error{where + "\"talk\" must be far, double, near or nobody"};
  item.talk = *known;
  return {};
}

Result<Item> parse_item(const json& object, const std::map<std::string, fs::path>& roots,
                        const std::string& path, std::size_t index) {
  std::string where = path + ": item " + std::to_string(index + 1) + ": ";
  if (!object.is_object()) return Error{where + "must be an object"};
  Item item;
  CONCLAVE_CHECK_STATUS(read(object, "id", item.id, where));
  if (!good_id(item.id)) {
    return Error{where + "needs an \"id\" of letters, digits and -_. (80 at most)"};
  }
  where = path + ": item " + item.id + ": ";
  CONCLAVE_CHECK_STATUS(only_keys(object,
                                  {"id", "mics", "far", "near", "echo", "noise", "near_gain",
                                   "scenario", "talk", "profile", "tags", "change_s", "root"},
                                  where));
  item.scenario = "all";
  std::string root;
  CONCLAVE_CHECK_STATUS(read(object, "scenario", item.scenario, where));
  CONCLAVE_CHECK_STATUS(read(object, "root", root, where));
  const auto place = roots.find(root);
  if (place == roots.end()) return Error{where + "root \"" + root + "\" is not under \"roots\""};
  const std::array<std::pair<const char*, std::string*>, 6> files = {{{"mics", &item.mics},
                                                                      {"far", &item.far},
                                                                      {"near", &item.near},
                                                                      {"echo", &item.echo},
                                                                      {"noise", &item.noise},
                                                                      {"profile", &item.profile}}};
  for (const auto& [key, file] : files) {
    CONCLAVE_CHECK_STATUS(read(object, key, *file, where));
    CONCLAVE_CHECK_STATUS(resolve(*file, key, place->second, where));
  }
  if (item.mics.empty()) return Error{where + "needs \"mics\""};
  CONCLAVE_CHECK_STATUS(read_talk(object, item, where));
  if (item.talk == Talk::kDouble && item.near.empty() && !item.echo.empty()) {
    return Error{where + "has the echo's truth but not the near talker's; give \"near\""};
  }
  std::optional<double> gain;
  CONCLAVE_CHECK_STATUS(read(object, "near_gain", gain, where));
  CONCLAVE_CHECK_STATUS(read(object, "change_s", item.change_seconds, where));
  item.near_gain = gain.value_or(1.0);
  if (object.contains("tags")) {
    const json& tags = object["tags"];
    if (!tags.is_array() || !std::ranges::all_of(tags, [](auto& t) { return t.is_string(); }))
      return Error{where + "\"tags\" must be a list of texts"};
    item.tags = tags.get<std::vector<std::string>>();
  }
  return item;
}

Result<std::map<std::string, fs::path>> parse_roots(const json& object, const std::string& path) {
  const fs::path own = fs::absolute(path).lexically_normal().parent_path();
  std::map<std::string, fs::path> roots{{"", own}};
  if (!object.contains("roots")) return roots;
  if (!object["roots"].is_object()) return Error{path + ": \"roots\" must be an object"};
  for (const auto& [name, folder] : object["roots"].items()) {
    const bool good = folder.is_string() && !folder.get<std::string>().empty() && !name.empty();
    if (!good) return refusal(path, ": root", name, " must be a folder's path");
    const fs::path whole = (own / folder.get<std::string>()).lexically_normal();
    std::error_code ignored;
    if (!fs::is_directory(whole, ignored))
      return refusal(path, ": root", name, ": " + whole.string() + " is not a folder");
    roots[name] = whole;
  }
  return roots;
}

metrics::Signal to_signal(ConstFrameView samples, std::size_t frames, double gain = 1) {
  metrics::Signal out(frames, 0.0);
  const auto row = samples[0];
  for (std::size_t i = 0; i < std::min(frames, row.size()); ++i)
    out[i] = gain * static_cast<double>(row[i]);
  return out;
}

Result<metrics::Signal> load_truth(const std::string& path, const Sound& mic, double gain) {
  const auto frames = static_cast<std::size_t>(mic.samples.frames());
  if (path.empty()) return metrics::Signal();
  CONCLAVE_TRY(const auto sound, load_sound(path));
  if (sound.rate != mic.rate) {
    return Error{path + ": has " + std::to_string(sound.rate) + " Hz, but the microphone's file " +
                 std::to_string(mic.rate) + " Hz"};
  }
  if (std::abs(sound.samples.frames() - mic.samples.frames()) > kLongestGap * mic.rate) {
    return Error{path + ": is not as long as the microphone's file; truth must be"};
  }
  return to_signal(sound.samples, frames, gain);
}

// What is not given of near, echo and noise is what the others leave of the microphone's signal.
void complete(metrics::EchoCase& truth) {
  const std::size_t frames = truth.mic.size();
  const auto rest = [&](const metrics::Signal& a, const metrics::Signal& b) {
    metrics::Signal out = truth.mic;
    for (std::size_t i = 0; i < frames; ++i)
      out[i] -= (a.empty() ? 0 : a[i]) + (b.empty() ? 0 : b[i]);
    // A file's 16-bit rounding is nothing that sounded.
    if (metrics::energy(out) < 1e-7 * metrics::energy(truth.mic)) out.assign(frames, 0.0);
    return out;
  };
  const bool far_talks = truth.talk == Talk::kFar || truth.talk == Talk::kDouble;
  if (truth.near.empty()) truth.near.assign(frames, 0.0);
  if (truth.echo.empty() && far_talks) truth.echo = rest(truth.near, truth.noise);
  if (truth.echo.empty()) truth.echo.assign(frames, 0.0);
  if (truth.noise.empty()) truth.noise = rest(truth.near, truth.echo);
}

FrameBuffer cut(ConstFrameView from, int frames) {
  FrameBuffer to(from.channels(), frames);
  const int count = std::min(frames, from.frames());
  for (int c = 0; c < from.channels() && count > 0; ++c)
    std::ranges::copy(from.columns(0, count)[c], to[c].begin());
  return to;
}

}  // namespace

const char* talk_name(Talk talk) {
  for (const auto& [name, value] : kTalks)
    if (value == talk) return name;
  return "far";
}

std::optional<Talk> talk_of(const std::string& name) {
  for (const auto& [known, value] : kTalks)
    if (name == known) return value;
  return std::nullopt;
}

std::string digest_of(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  std::array<char, 17> hex{};
  std::snprintf(hex.data(), hex.size(), "%016llx", static_cast<unsigned long long>(hash));
  return hex.data();
}

Result<Manifest> parse_manifest(const std::string& text, const std::string& path) {
  const json object = json::parse(text, nullptr, false);
  if (object.is_discarded() || !object.is_object()) return Error{path + ": is not a JSON object"};
  if (!object.contains("conclave_bench") || object["conclave_bench"] != kFormat) {
    return Error{path + ": is no bench manifest: it must hold \"conclave_bench\": 1"};
  }
  CONCLAVE_CHECK_STATUS(
      only_keys(object, {"conclave_bench", "name", "note", "roots", "items"}, path + ": "));
  Manifest manifest;
  manifest.name = fs::path(path).stem().string();
  manifest.digest = digest_of(text);
  CONCLAVE_CHECK_STATUS(read(object, "name", manifest.name, path + ": "));
  CONCLAVE_TRY(const auto roots, parse_roots(object, path));
  if (!object.contains("items") || !object["items"].is_array() || object["items"].empty())
    return Error{path + ": holds no items"};
  std::set<std::string> ids;
  for (const json& entry : object["items"]) {
    CONCLAVE_TRY(auto item, parse_item(entry, roots, path, manifest.items.size()));
    if (!ids.insert(item.id).second)
      return Error{path + ": item " + item.id + ": its id is there twice"};
    manifest.items.push_back(std::move(item));
  }
  return manifest;
}

Result<Manifest> load_manifest(const std::string& path) {
  CONCLAVE_TRY(const auto text, read_text(path));
  return parse_manifest(text, path);
}

Result<Recording> load_recording(const Item& item) {
  CONCLAVE_TRY(auto mic, load_sound(item.mics));
  Sound far{mic.rate, FrameBuffer(1, mic.samples.frames())};
  if (!item.far.empty()) {
    CONCLAVE_TRY(far, load_sound(item.far));
    if (far.rate != mic.rate) {
      return Error{item.far + ": has " + std::to_string(far.rate) + " Hz, but " + item.mics + " " +
                   std::to_string(mic.rate) + " Hz"};
    }
  }
  Recording recording;
  auto& truth = recording.truth;
  recording.rate = truth.rate = mic.rate;
  truth.talk = item.talk;
  truth.change_seconds = item.change_seconds;
  truth.has_truth = !item.near.empty() || !item.echo.empty() || !item.noise.empty();
  CONCLAVE_TRY(truth.near, load_truth(item.near, mic, item.near_gain));
  CONCLAVE_TRY(truth.echo, load_truth(item.echo, mic, 1));
  CONCLAVE_TRY(truth.noise, load_truth(item.noise, mic, 1));
  const int frames =
      truth.has_truth ? mic.samples.frames() : std::min(mic.samples.frames(), far.samples.frames());
  if (frames < mic.rate / 2) return Error{item.mics + ": is shorter than half a second"};
  recording.mics = cut(mic.samples, frames);
  recording.far = cut(far.samples.view().rows(0, 1), frames);
  truth.mic = to_signal(recording.mics, static_cast<std::size_t>(frames));
  truth.far = to_signal(recording.far, static_cast<std::size_t>(frames));
  if (truth.has_truth) complete(truth);
  return recording;
}

Result<Shard> parse_shard(const std::string& text) {
  Shard shard;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%d/%d%c", &shard.index, &shard.count, &rest) != 2 ||
      shard.count < 1 || shard.index < 1 || shard.index > shard.count || shard.count > 10000) {
    return Error{"--shard " + text + ": must be i/n with i from 1 to n"};
  }
  return shard;
}

}  // namespace conclave::bench::echo
