// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/results.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/echo/sound.h"
#include "bench/room/random.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;

constexpr int kDraws = 2000;
constexpr std::uint64_t kSeed = 20070515;

double percentile(const std::vector<double>& sorted, double fraction) {
  const double place = fraction * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(place);
  const auto high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - static_cast<double>(low));
}

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

json summary_json(const Summary& summary) {
  json object = {{"n", summary.count}, {"never", summary.never}};
  if (summary.count == 0) return object;
  object["mean"] = rounded(summary.mean);
  object["low"] = rounded(summary.low);
  object["high"] = rounded(summary.high);
  return object;
}

}  // namespace

Summary summarise(const std::vector<std::optional<double>>& values) {
  Summary summary;
  std::vector<double> known;
  for (const auto& value : values) {
    if (value) known.push_back(*value);
  }
  summary.count = static_cast<int>(known.size());
  summary.never = static_cast<int>(values.size() - known.size());
  if (known.empty()) return summary;
  for (const double value : known) summary.mean += value;
  summary.mean /= static_cast<double>(known.size());
  summary.low = summary.high = summary.mean;
  if (known.size() < 2) return summary;
  room::Random random(kSeed);
  std::vector<double> means(kDraws);
  for (double& mean : means) {
    double sum = 0;
    for (std::size_t i = 0; i < known.size(); ++i) {
      const auto at =
          static_cast<std::size_t>(random.uniform() * static_cast<double>(known.size()));
      sum += known[at];
    }
    mean = sum / static_cast<double>(known.size());
  }
  std::sort(means.begin(), means.end());
  summary.low = percentile(means, 0.025);
  summary.high = percentile(means, 0.975);
  return summary;
}

std::vector<std::string> Results::scenarios() const {
  std::vector<std::string> names;
  for (const auto& item : items) {
    if (std::ranges::find(names, item.scenario) == names.end()) names.push_back(item.scenario);
  }
  return names;
}

std::vector<std::string> Results::metrics() const {
  std::map<std::string, bool> seen;
  for (const auto& item : items) {
    for (const auto& [system, record] : item.systems)
      for (const auto& [name, value] : record.scores) seen[name] = true;
  }
  std::vector<std::string> names;
  for (const auto& info : bench::metrics::echo_metrics()) {
    if (seen.erase(info.name) > 0) names.emplace_back(info.name);
  }
  for (const auto& [name, there] : seen) names.push_back(name);
  return names;
}

std::vector<std::optional<double>> Results::values(const std::string& scenario,
                                                   const std::string& system,
                                                   const std::string& metric) const {
  std::vector<std::optional<double>> found;
  for (const auto& item : items) {
    if (item.scenario != scenario) continue;
    const auto record = item.systems.find(system);
    if (record == item.systems.end()) continue;
    const auto score = record->second.scores.find(metric);
    if (score != record->second.scores.end()) found.push_back(score->second);
  }
  return found;
}

Result<Results> collect(const Store& store, const RunPlan& plan) {
  Results results{plan, {}};
  for (const auto& id : plan.ids) {
    if (!store.has(id)) continue;
    CONCLAVE_TRY(auto item, store.load(id, plan.systems));
    if (item.systems.size() == plan.systems.size()) results.items.push_back(std::move(item));
  }
  return results;
}

json results_json(const Results& results) {
  json items = json::array();
  for (const auto& item : results.items) {
    json systems = json::object();
    for (const auto& [name, record] : item.systems) {
      if (!record.error.empty()) {
        systems[name] = {{"error", record.error}};
        continue;
      }
      systems[name] = {
          {"scores", scores_json(record.scores)},
          {"latency_ms", record.latency_ms ? json(rounded(*record.latency_ms)) : json()}};
    }
    items.push_back({{"id", item.id},
                     {"scenario", item.scenario},
                     {"talk", item.talk},
                     {"tags", item.tags},
                     {"rate", item.rate},
                     {"seconds", rounded(item.seconds)},
                     {"systems", systems}});
  }
  json summary = json::object();
  const auto metrics = results.metrics();
  for (const auto& scenario : results.scenarios()) {
    for (const auto& system : results.plan.systems) {
      for (const auto& metric : metrics) {
        const auto values = results.values(scenario, system, metric);
        if (!values.empty()) summary[scenario][system][metric] = summary_json(summarise(values));
      }
    }
  }
  return {{"conclave_bench", 1},
          {"manifest", results.plan.manifest_name},
          {"digest", results.plan.manifest_digest},
          {"systems", results.plan.systems},
          {"items", items},
          {"summary", summary}};
}

std::string results_csv(const Results& results) {
  const auto metrics = results.metrics();
  std::string text = "id,scenario,talk,rate,seconds,system,error,latency_ms";
  for (const auto& metric : metrics) text += "," + csv_text(metric);
  text += "\n";
  const auto number = [](double value) { return json(rounded(value)).dump(); };
  for (const auto& item : results.items) {
    for (const auto& system : results.plan.systems) {
      const auto& record = item.systems.at(system);
      text += item.id + "," + csv_text(item.scenario) + "," + item.talk + "," +
              std::to_string(item.rate) + "," + number(item.seconds) + "," + system + "," +
              csv_text(record.error) + "," +
              (record.latency_ms ? number(*record.latency_ms) : std::string());
      for (const auto& metric : metrics) {
        text += ",";
        const auto score = record.scores.find(metric);
        if (score == record.scores.end()) continue;
        text += score->second ? number(*score->second) : "never";
      }
      text += "\n";
    }
  }
  return text;
}

json timing_json(const Results& results) {
  json items = json::object();
  std::map<std::string, std::map<int, std::vector<const CpuTime*>>> by_rate;
  for (const auto& item : results.items) {
    for (const auto& [name, record] : item.systems) {
      if (!record.error.empty()) continue;
      items[item.id][name] = {{"mean", rounded(record.cpu.mean_us)},
                              {"p50", rounded(record.cpu.p50_us)},
                              {"p99", rounded(record.cpu.p99_us)},
                              {"max", rounded(record.cpu.max_us)}};
      by_rate[name][item.rate].push_back(&record.cpu);
    }
  }
  json summary = json::object();
  for (const auto& [system, rates] : by_rate) {
    for (const auto& [rate, times] : rates) {
      CpuTime mean;
      for (const auto* time : times) {
        const auto count = static_cast<double>(times.size());
        mean.mean_us += time->mean_us / count;
        mean.p50_us += time->p50_us / count;
        mean.p99_us += time->p99_us / count;
        mean.max_us = std::max(mean.max_us, time->max_us);
      }
      summary[system][std::to_string(rate)] = {{"mean", rounded(mean.mean_us)},
                                               {"p50", rounded(mean.p50_us)},
                                               {"p99", rounded(mean.p99_us)},
                                               {"max", rounded(mean.max_us)}};
    }
  }
  return {{"unit", "us of CPU per 10 ms of sound"}, {"items", items}, {"summary", summary}};
}

Status write_results(const Results& results, const std::string& folder) {
  CONCLAVE_CHECK_STATUS(write_text(folder + "/results.json", results_json(results).dump(1) + "\n"));
  CONCLAVE_CHECK_STATUS(write_text(folder + "/results.csv", results_csv(results)));
  return write_text(folder + "/timing.json", timing_json(results).dump(1) + "\n");
}

}  // namespace conclave::bench::echo
