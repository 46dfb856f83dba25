// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/import.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "bench/echo/sound.h"
#include "bench/metrics/signals.h"
#include "bench/room/random.h"
#include "bench/room/voices.h"

namespace conclave::bench::echo {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kNearFrom = 4.0;  // seconds of echo alone before the near talker
constexpr std::array<double, 3> kRatiosDb{0, -6, 6};
constexpr int kLowRate = 16000;

std::string text(const json& object, const char* key) {
  return object.contains(key) && object[key].is_string() ? object[key].get<std::string>() : "";
}

std::string rate_name(int rate) { return rate == kLowRate ? "16k" : "48k"; }

std::vector<float> resampled(std::span<const float> samples, int from, int to) {
  const metrics::Signal wide(samples.begin(), samples.end());
  const auto out = metrics::resample(wide, from, to);
  return {out.begin(), out.end()};
}

class Import {
 public:
  explicit Import(const ImportOptions& options)
      : options_(options), root_(fs::absolute(options.folder).lexically_normal()) {}

  Result<ImportOutcome> run() {
    const std::string list = (root_ / "manifest.json").string();
    CONCLAVE_TRY(const auto content, read_text(list));
    const json object = json::parse(content, nullptr, false);
    if (!object.is_object() || !object.contains("files") || !object["files"].is_array())
      return Error{list + ": has no list \"files\"; docs/bench.md tells the form"};
    files_ = object["files"].get<std::vector<json>>();
    for (const auto& file : files_) {
      if (text(file, "path").empty()) return Error{list + ": a file without \"path\""};
      paths_.insert(text(file, "path"));
    }
    for (const auto& file : files_) CONCLAVE_CHECK_STATUS(add_recorded(file));
    add_synthetic();
    for (const auto& file : files_) CONCLAVE_CHECK_STATUS(add_mixed(file));
    if (items_.empty()) return Error{list + ": holds no recordings of a known scenario"};
    const json manifest = {{"conclave_bench", 1},
                           {"name", fs::path(options_.manifest).stem().string()},
                           {"roots", {{"recordings", root_.string()}}},
                           {"items", items_}};
    CONCLAVE_CHECK_STATUS(write_text(options_.manifest, manifest.dump(1) + "\n"));
    return outcome_;
  }

 private:
  static int rate_of(const json& file) { return file.value("fs", 0); }

  static std::string id_of(const json& file) {
    std::string id = fs::path(text(file, "path")).stem().string();
    if (id.ends_with("_mic")) id.resize(id.size() - 4);
    // Ids end up in tables: a device's long name is cut.
    std::ranges::replace_if(
        id, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-'; },
        '_');
    return (id[0] == '-' ? "x" + id : id).substr(0, 60) + "-" + rate_name(rate_of(file));
  }

  Status add_recorded(const json& file) {
    const std::string scenario = text(file, "scenario");
    const std::string pair = text(file, "pair");
    if (text(file, "part") != "mic") return {};
    const bool far = scenario.starts_with("farend");
    const bool both = scenario.starts_with("doubletalk");
    const bool near = scenario.starts_with("nearend");
    if (!far && !both && !near) return {};
    if ((far || both) && !paths_.contains(pair)) return {};
    const std::string what = far ? "far end" : both ? "double talk" : "near end";
    json item = {{"id", id_of(file)},
                 {"root", "recordings"},
                 {"mics", text(file, "path")},
                 {"scenario", "real " + what + " " + rate_name(rate_of(file))},
                 {"talk", far    ? "far"
                          : both ? "double"
                                 : "near"},
                 {"tags", {"real"}}};
    if (paths_.contains(pair)) item["far"] = pair;
    // Nobody plays: what the microphone heard is what ought to be sent.
    if (near) item["near"] = text(file, "path");
    items_.push_back(std::move(item));
    ++outcome_.recorded;
    return {};
  }

  void add_synthetic() {
    std::map<int, std::map<std::string, const json*>> sets;
    for (const auto& file : files_) {
      if (text(file, "scenario") == "synthetic_doubletalk" && file.contains("fileid"))
        sets[file["fileid"].get<int>()][text(file, "part")] = &file;
    }
    for (const auto& [id, parts] : sets) {
      if (!parts.contains("nearend_mic") || !parts.contains("nearend_speech") ||
          !parts.contains("farend_speech")) {
        continue;
      }
      const json& mic = *parts.at("nearend_mic");
      json item = {{"id", "synth-" + std::to_string(id)},
                   {"root", "recordings"},
                   {"mics", text(mic, "path")},
                   {"far", text(*parts.at("farend_speech"), "path")},
                   {"near", text(*parts.at("nearend_speech"), "path")},
                   {"near_gain", mic.value("nearend_scale", 1.0)},
                   {"scenario", "synthetic double talk"},
                   {"talk", "double"},
                   {"tags", {"synthetic"}}};
      if (parts.contains("echo")) item["echo"] = text(*parts.at("echo"), "path");
      items_.push_back(std::move(item));
      ++outcome_.synthetic;
    }
  }

  // Clean near speech of the folder at this rate, or of any when there is none.
  Result<std::vector<std::vector<float>>> near_speech(int rate) {
    if (pools_.contains(rate)) return pools_[rate];
    std::vector<const json*> chosen;
    for (const bool any_rate : {false, true}) {
      for (const auto& file : files_) {
        const bool near = file.contains("roles") && file["roles"].is_array() &&
                          std::ranges::find(file["roles"], "near_speech") != file["roles"].end();
        if (near && (any_rate || rate_of(file) == rate)) chosen.push_back(&file);
      }
      if (!chosen.empty()) break;
    }
    auto& pool = pools_[rate];
    for (const auto* file : chosen) {
      CONCLAVE_TRY(const auto sound, load_sound((root_ / text(*file, "path")).string()));
      pool.push_back(resampled(sound.samples[0], sound.rate, rate));
    }
    return pool;
  }

  Status add_mixed(const json& file) {
    const std::string pair = text(file, "pair");
    if (text(file, "part") != "mic" || text(file, "scenario") != "farend_singletalk" ||
        !paths_.contains(pair)) {
      return {};
    }
    CONCLAVE_TRY(const auto echo, load_sound((root_ / text(file, "path")).string()));
    CONCLAVE_TRY(const auto far, load_sound((root_ / pair).string()));
    CONCLAVE_TRY(const auto pool, near_speech(echo.rate));
    if (pool.empty() || far.rate != echo.rate) return {};
    const auto frames =
        static_cast<std::size_t>(std::min(echo.samples.frames(), far.samples.frames()));
    const auto start = static_cast<std::size_t>(kNearFrom * echo.rate);
    if (frames < 2 * start) return {};
    const double ratio = kRatiosDb[static_cast<std::size_t>(outcome_.mixed) % kRatiosDb.size()];
    auto near = laid_out(pool, frames, start, echo.rate);
    std::vector<float> echo_only(echo.samples[0].begin(),
                                 echo.samples[0].begin() + static_cast<std::ptrdiff_t>(frames));
    const double level = room::active_rms(echo_only, echo.rate) * std::pow(10.0, ratio / 20) /
                         std::max(room::active_rms(near, echo.rate), 1e-9);
    float peak = 0;
    for (std::size_t i = 0; i < frames; ++i) {
      near[i] *= static_cast<float>(level);
      peak = std::max(peak, std::abs(near[i] + echo_only[i]));
    }
    const float scale = std::min(1.0F, 0.95F / std::max(peak, 1e-6F));
    std::vector<float> mic(frames);
    for (std::size_t i = 0; i < frames; ++i) {
      near[i] *= scale;
      echo_only[i] *= scale;
      mic[i] = near[i] + echo_only[i];
    }
    return save_mixed(file, mic, near, echo_only, ratio);
  }

  std::vector<float> laid_out(const std::vector<std::vector<float>>& pool, std::size_t frames,
                              std::size_t start, int rate) {
    std::vector<std::size_t> order(pool.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    room::Random random(options_.seed * 1000003 + static_cast<std::uint64_t>(outcome_.mixed));
    for (std::size_t i = order.size(); i-- > 1;)
      std::swap(order[i], order[random.bits() % (i + 1)]);
    std::vector<float> near(start, 0.0F);
    for (std::size_t k = 0; near.size() < frames; ++k) {
      const auto& piece = pool[order[k % order.size()]];
      const auto scale = static_cast<float>(0.05 / std::max(room::active_rms(piece, rate), 1e-9));
      for (const float x : piece) near.push_back(x * scale);
      near.resize(near.size() + static_cast<std::size_t>(random.uniform(0.1, 0.4) * rate), 0.0F);
    }
    near.resize(frames);
    return near;
  }

  Status save_mixed(const json& file, const std::vector<float>& mic, const std::vector<float>& near,
                    const std::vector<float>& echo, double ratio) {
    const fs::path place = fs::path(options_.manifest).parent_path();
    const std::string folder = fs::path(options_.manifest).stem().string() + ".mixed";
    const std::string id = "mix-" + id_of(file);
    std::error_code failed;
    fs::create_directories(place / folder / id, failed);
    if (failed) return Error{(place / folder).string() + ": cannot be made: " + failed.message()};
    json item = {{"id", id},
                 {"scenario", "real echo, known near " + rate_name(rate_of(file))},
                 {"talk", "double"},
                 {"tags", {"mixed", "near " + std::to_string(static_cast<int>(ratio)) + " dB"}}};
    const std::vector<std::pair<const char*, const std::vector<float>*>> parts = {
        {"mics", &mic}, {"near", &near}, {"echo", &echo}};
    for (const auto& [key, samples] : parts) {
      const std::string path = (fs::path(folder) / id / key).string() + ".flac";
      CONCLAVE_CHECK_STATUS(save_sound((place / path).string(), *samples, rate_of(file)));
      item[key] = path;
    }
    // The far end stays where it is; a root of its own would have to leave the manifest's folder.
    CONCLAVE_TRY(const auto far, load_sound((root_ / text(file, "pair")).string()));
    const std::string path = folder + "/" + id + "/far.flac";
    CONCLAVE_CHECK_STATUS(save_sound((place / path).string(), far.samples, far.rate));
    item["far"] = path;
    items_.push_back(std::move(item));
    ++outcome_.mixed;
    return {};
  }

  const ImportOptions& options_;
  fs::path root_;
  std::vector<json> files_;
  std::set<std::string> paths_;
  std::map<int, std::vector<std::vector<float>>> pools_;
  json items_ = json::array();
  ImportOutcome outcome_;
};

}  // namespace

Result<ImportOutcome> import_folder(const ImportOptions& options) {
  try {
    return Import(options).run();
  } catch (const json::exception& wrong) {
    return Error{options.folder + "/manifest.json: a value has the wrong kind: " + wrong.what()};
  }
}

}  // namespace conclave::bench::echo
