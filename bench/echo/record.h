// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/echo/manifest.h"
#include "bench/echo/system.h"

namespace conclave::bench::echo {

/// Named numbers; empty: what was waited for never came.
using ScoreMap = std::map<std::string, std::optional<double>>;

/// What one system did on one item.
struct SystemRecord {
  std::string key;    ///< of manifest, item and system: tells whether it may be kept
  std::string error;  ///< not empty: it failed, and nothing else is known
  ScoreMap scores;
  bool scorer_ran = false;
  int lag = 0;  ///< samples
  std::optional<double> latency_ms;
  CpuTime cpu;
  std::vector<double> erle_time;
  std::vector<double> erle_db;
};

struct ItemRecord {
  std::string id;
  std::string scenario;
  std::string talk;
  std::vector<std::string> tags;
  int rate = 0;
  double seconds = 0;
  bool has_near = false;
  std::map<std::string, SystemRecord> systems;
};

/// What a run was asked to do; the frame that shards are put together in.
struct RunPlan {
  std::string manifest_name;
  std::string manifest_digest;
  std::vector<std::string> ids;  ///< of the whole manifest, in its order
  std::vector<std::string> systems;
  std::vector<std::string> commands;  ///< as given: NAME=COMMAND stands in full
};

/// A result folder:
///   plan.json                 the plan
///   items/ID/item.json        what the item is
///   items/ID/SYSTEM.json      what a system did, written when it is finished
///   items/ID/*.flac           mic, far, near and each system's output
/// All writing is whole files moved into place: a run that is ended leaves only finished ones.
class Store {
 public:
  explicit Store(std::string folder) : folder_(std::move(folder)) {}
  const std::string& folder() const { return folder_; }
  std::string item_folder(const std::string& id) const { return folder_ + "/items/" + id; }
  std::string sound(const std::string& id, const std::string& name) const {
    return item_folder(id) + "/" + name + ".flac";
  }

  Status make_item_folder(const std::string& id) const;
  Status save(const RunPlan& plan) const;
  Status save(const ItemRecord& item) const;  ///< without its systems
  Status save(const std::string& id, const std::string& system, const SystemRecord& record) const;
  Result<RunPlan> load_plan() const;
  /// An item with those of `systems` that are there.
  Result<ItemRecord> load(const std::string& id, const std::vector<std::string>& systems) const;
  bool has(const std::string& id) const;
  std::optional<SystemRecord> load_system(const std::string& id, const std::string& system) const;

 private:
  std::string folder_;
};

/// Four digits behind the point: enough for every metric, and the same text everywhere.
double rounded(double value);
nlohmann::json scores_json(const ScoreMap& scores);
ScoreMap scores_of(const nlohmann::json& object);

}  // namespace conclave::bench::echo
