// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/record.h"

#include <cmath>
#include <filesystem>

#include "bench/echo/sound.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;

std::vector<double> rounded(std::vector<double> values, double scale) {
  for (double& value : values) value = std::round(value * scale) / scale;
  return values;
}

Result<json> load_json(const std::string& path) {
  CONCLAVE_TRY(const auto text, read_text(path));
  json object = json::parse(text, nullptr, false);
  if (object.is_discarded() || !object.is_object())
    return Error{path + ": is damaged; run the bench again"};
  return object;
}

SystemRecord system_of(const json& object) {
  SystemRecord record;
  record.key = object.at("key");
  record.error = object.at("error");
  record.scores = scores_of(object.at("scores"));
  record.scorer_ran = object.at("scorer_ran");
  record.lag = object.at("lag");
  if (!object.at("latency_ms").is_null()) record.latency_ms = object.at("latency_ms").get<double>();
  const json& cpu = object.at("cpu_us");
  record.cpu = {cpu.at("mean"), cpu.at("p50"), cpu.at("p99"), cpu.at("max")};
  record.erle_time = object.at("erle_time").get<std::vector<double>>();
  record.erle_db = object.at("erle_db").get<std::vector<double>>();
  return record;
}

}  // namespace

double rounded(double value) { return std::round(value * 1e4) / 1e4; }

json scores_json(const ScoreMap& scores) {
  json object = json::object();
  for (const auto& [name, value] : scores) object[name] = value ? json(rounded(*value)) : json();
  return object;
}

ScoreMap scores_of(const json& object) {
  ScoreMap scores;
  for (const auto& [name, value] : object.items())
    scores[name] = value.is_null() ? std::nullopt : std::optional<double>(value.get<double>());
  return scores;
}

Status Store::make_item_folder(const std::string& id) const {
  std::error_code failed;
  std::filesystem::create_directories(item_folder(id), failed);
  if (failed) return Error{item_folder(id) + ": cannot be made: " + failed.message()};
  return {};
}

Status Store::save(const RunPlan& plan) const {
  const json object = {{"manifest", plan.manifest_name},
                       {"digest", plan.manifest_digest},
                       {"ids", plan.ids},
                       {"systems", plan.systems},
                       {"commands", plan.commands}};
  return write_text(folder_ + "/plan.json", object.dump(1) + "\n");
}

Status Store::save(const ItemRecord& item) const {
  const json object = {{"id", item.id},
                       {"scenario", item.scenario},
                       {"talk", item.talk},
                       {"tags", item.tags},
                       {"rate", item.rate},
                       {"seconds", rounded(item.seconds)},
                       {"has_near", item.has_near}};
  return write_text(item_folder(item.id) + "/item.json", object.dump(1) + "\n");
}

Status Store::save(const std::string& id, const std::string& system,
                   const SystemRecord& record) const {
  const json object = {
      {"key", record.key},
      {"error", record.error},
      {"scores", scores_json(record.scores)},
      {"scorer_ran", record.scorer_ran},
      {"lag", record.lag},
      {"latency_ms", record.latency_ms ? json(rounded(*record.latency_ms)) : json()},
      {"cpu_us",
       {{"mean", rounded(record.cpu.mean_us)},
        {"p50", rounded(record.cpu.p50_us)},
        {"p99", rounded(record.cpu.p99_us)},
        {"max", rounded(record.cpu.max_us)}}},
      {"erle_time", rounded(record.erle_time, 100)},
      {"erle_db", rounded(record.erle_db, 100)}};
  return write_text(item_folder(id) + "/" + system + ".json", object.dump() + "\n");
}

Result<RunPlan> Store::load_plan() const {
  const std::string path = folder_ + "/plan.json";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored))
    return Error{folder_ + ": is no result folder of conclave bench run"};
  CONCLAVE_TRY(const auto object, load_json(path));
  try {
    return RunPlan{object.at("manifest"), object.at("digest"), object.at("ids"),
                   object.at("systems"), object.at("commands")};
  } catch (const json::exception&) {
    return Error{path + ": is damaged; run the bench again"};
  }
}

bool Store::has(const std::string& id) const {
  std::error_code ignored;
  return std::filesystem::is_regular_file(item_folder(id) + "/item.json", ignored);
}

std::optional<SystemRecord> Store::load_system(const std::string& id,
                                               const std::string& system) const {
  const std::string path = item_folder(id) + "/" + system + ".json";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return std::nullopt;
  const auto object = load_json(path);
  if (!object) return std::nullopt;
  try {
    return system_of(*object);
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

Result<ItemRecord> Store::load(const std::string& id,
                               const std::vector<std::string>& systems) const {
  const std::string path = item_folder(id) + "/item.json";
  CONCLAVE_TRY(const auto object, load_json(path));
  ItemRecord item;
  try {
    item.id = object.at("id");
    item.scenario = object.at("scenario");
    item.talk = object.at("talk");
    item.tags = object.at("tags").get<std::vector<std::string>>();
    item.rate = object.at("rate");
    item.seconds = object.at("seconds");
    item.has_near = object.at("has_near");
  } catch (const json::exception&) {
    return Error{path + ": is damaged; run the bench again"};
  }
  for (const auto& system : systems) {
    if (auto record = load_system(id, system)) item.systems[system] = std::move(*record);
  }
  return item;
}

}  // namespace conclave::bench::echo
