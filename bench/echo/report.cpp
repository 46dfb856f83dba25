// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "bench/echo/opus_file.h"
#include "bench/echo/picture.h"
#include "bench/echo/results.h"
#include "bench/echo/sound.h"
#include "bench/metrics/signals.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;

constexpr const char* kPage =
#include "bench/echo/report_page.inc"
    ;

constexpr int kColumns = 480;
constexpr int kRows = 88;
constexpr double kPeak = 0.9;
constexpr double kMostBoostDb = 20;  // of a quiet item, all its sounds alike
constexpr double kMostMatchDb = 12;
constexpr int kWidebandKilobits = 36;
constexpr int kFullbandKilobits = 56;

struct Track {
  std::string name;
  std::vector<float> samples;
};

Result<std::vector<float>> load_track(const std::string& path, int lag) {
  CONCLAVE_TRY(const auto sound, load_sound(path));
  const auto row = sound.samples[0];
  std::vector<float> moved(row.begin() + std::min<std::ptrdiff_t>(lag, std::ssize(row)), row.end());
  moved.resize(row.size());
  return moved;
}

double projection(std::span<const float> x, std::span<const float> on) {
  double both = 0;
  double own = 0;
  for (std::size_t i = 0; i < std::min(x.size(), on.size()); ++i) {
    both += static_cast<double>(x[i]) * static_cast<double>(on[i]);
    own += static_cast<double>(on[i]) * static_cast<double>(on[i]);
  }
  return own > 0 ? both / own : 0;
}

// What a system's sound is multiplied with so that its near talker is as loud as the true one.
double matching_gain(const Track& track, const std::vector<float>& near) {
  if (near.empty()) return 1;
  const double share = projection(track.samples, near);
  const double most = std::pow(10.0, kMostMatchDb / 20);
  return share > 1 / most ? std::clamp(1 / share, 1 / most, most) : 1;
}

class Report {
 public:
  Report(const Store& store, const Results& results, const ReportOptions& options)
      : store_(store), results_(results), options_(options) {}

  Result<std::string> page() {
    const auto whole = results_json(results_);
    const auto timing = timing_json(results_);
    json data = {{"manifest", results_.plan.manifest_name},
                 {"systems", results_.plan.systems},
                 {"commands", results_.plan.commands},
                 {"scenarios", results_.scenarios()},
                 {"summary", whole["summary"]},
                 {"timing", timing["summary"]},
                 {"metrics", metric_list()}};
    json items = json::array();
    std::int64_t done = 0;
    for (const auto& item : results_.items) {
      CONCLAVE_TRY(auto entry, item_entry(item));
      items.push_back(std::move(entry));
      if (options_.progress) options_.progress(++done, 2 * std::ssize(results_.items));
    }
    if (options_.kind == ReportKind::kAudio) CONCLAVE_CHECK_STATUS(add_sound(items, done));
    data["items"] = std::move(items);
    std::string text = data.dump();
    // "</" must not end the script that holds it.
    for (std::size_t at = 0; (at = text.find("</", at)) != std::string::npos; at += 3)
      text.replace(at, 2, "<\\/");
    std::string page = kPage;
    const std::string mark = "/*DATA*/null";
    page.replace(page.find(mark), mark.size(), text);
    return page;
  }

 private:
  json metric_list() const {
    json list = json::array();
    for (const auto& name : results_.metrics()) {
      const auto& known = bench::metrics::echo_metrics();
      const auto info = std::ranges::find_if(known, [&](auto& m) { return name == m.name; });
      if (info == known.end()) {
        list.push_back({{"name", name},
                        {"title", name},
                        {"unit", ""},
                        {"better", 1},
                        {"digits", 2},
                        {"meaning", "from the scorer"}});
      } else {
        list.push_back({{"name", name},
                        {"title", info->title},
                        {"unit", info->unit},
                        {"better", info->better},
                        {"digits", info->digits},
                        {"meaning", info->meaning}});
      }
    }
    return list;
  }

  // Microphone, truth and all that worked, on one time and level.
  Result<std::vector<Track>> tracks_of(const ItemRecord& item) const {
    std::vector<Track> tracks;
    CONCLAVE_TRY(auto mic, load_track(store_.sound(item.id, "mic"), 0));
    tracks.push_back({"microphone", std::move(mic)});
    std::vector<float> near;
    if (item.has_near) {
      CONCLAVE_TRY(near, load_track(store_.sound(item.id, "near"), 0));
      tracks.push_back({"near talker", near});
    }
    for (const auto& system : results_.plan.systems) {
      const auto& record = item.systems.at(system);
      if (!record.error.empty()) continue;
      CONCLAVE_TRY(auto sent, load_track(store_.sound(item.id, system), record.lag));
      tracks.push_back({system, std::move(sent)});
      const double gain = matching_gain(tracks.back(), near);
      for (float& x : tracks.back().samples) x *= static_cast<float>(gain);
    }
    return tracks;
  }

  Result<json> item_entry(const ItemRecord& item) const {
    json entry = {{"id", item.id},     {"scenario", item.scenario}, {"talk", item.talk},
                  {"tags", item.tags}, {"rate", item.rate},         {"seconds", item.seconds}};
    for (const auto& [name, record] : item.systems) {
      json& system = entry["systems"][name];
      if (!record.error.empty()) {
        system = {{"error", record.error}};
        continue;
      }
      system = {{"scores", scores_json(record.scores)},
                {"cpu", record.cpu.mean_us},
                {"time", record.erle_time},
                {"erle", record.erle_db}};
      if (record.latency_ms) system["latency"] = *record.latency_ms;
    }
    CONCLAVE_TRY(auto tracks, tracks_of(item));
    CONCLAVE_TRY(auto far, load_track(store_.sound(item.id, "far"), 0));
    tracks.insert(tracks.begin() + 1, {"far end", std::move(far)});
    float top = 0;
    for (const auto& track : tracks) {
      CONCLAVE_TRY(const auto picture, spectrogram(track.samples, item.rate, kColumns, kRows));
      // One scale for all that the room heard; the far end has its own.
      if (&track == tracks.data()) top = loud_level(picture);
      const float own = track.name == "far end" ? loud_level(picture) : top;
      entry["pictures"].push_back(
          {track.name, "data:image/png;base64," + base64(png(picture, own))});
    }
    return entry;
  }

  // One item of each scenario first, so that a full page has some of everything.
  std::vector<std::size_t> by_turns() const {
    std::vector<std::size_t> order;
    std::vector<std::size_t> later;
    std::set<std::string> seen;
    for (std::size_t i = 0; i < results_.items.size(); ++i)
      (seen.insert(results_.items[i].scenario).second ? order : later).push_back(i);
    order.insert(order.end(), later.begin(), later.end());
    return order;
  }

  Status add_sound(json& items, std::int64_t done) const {
    auto left = static_cast<std::int64_t>(options_.megabytes * 1e6) -
                static_cast<std::int64_t>(std::string(kPage).size());
    for (const auto& entry : items) left -= static_cast<std::int64_t>(entry.dump().size());
    for (const auto index : by_turns()) {
      const auto& item = results_.items[index];
      const int kilobits = item.rate == 16000 ? kWidebandKilobits : kFullbandKilobits;
      CONCLAVE_TRY(auto tracks, tracks_of(item));
      const double expected = item.seconds * kilobits * 1000 / 8 * 4 / 3;
      if (expected * static_cast<double>(tracks.size()) < static_cast<double>(left)) {
        double peak = 1e-9;
        for (const auto& track : tracks) {
          for (const float x : track.samples)
            peak = std::max(peak, static_cast<double>(std::abs(x)));
        }
        const double gain = std::min(kPeak / peak, std::pow(10.0, kMostBoostDb / 20));
        json sounds = json::array();
        for (auto& track : tracks) {
          for (float& x : track.samples) x *= static_cast<float>(gain);
          CONCLAVE_TRY(const auto bytes, opus_file(track.samples, item.rate, kilobits));
          sounds.push_back({track.name, "data:audio/ogg;base64," + base64(bytes)});
          left -= static_cast<std::int64_t>(sounds.back()[1].get_ref<std::string&>().size());
        }
        items[index]["sounds"] = std::move(sounds);
      }
      if (options_.progress) options_.progress(++done, 2 * std::ssize(results_.items));
    }
    return {};
  }

  const Store& store_;
  const Results& results_;
  const ReportOptions& options_;
};

}  // namespace

Status write_report(const Store& store, const RunPlan& plan, const ReportOptions& options) {
  if (options.kind == ReportKind::kNone) return {};
  CONCLAVE_TRY(const auto results, collect(store, plan));
  CONCLAVE_TRY(const auto page, Report(store, results, options).page());
  return write_text(store.folder() + "/report.html", page);
}

}  // namespace conclave::bench::echo
