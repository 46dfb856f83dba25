// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/show.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "bench/echo/compare.h"
#include "bench/metrics/echo_score.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;

const std::vector<std::string> kUsual = {"erle_0_3", "erle_ss", "t20_s",    "t20_change_s",
                                         "dt_sdr",   "dt_stoi", "dt_estoi", "dt_echo_att",
                                         "ne_sdr",   "ne_gain", "noise_att"};

std::string cell(const json& summary, const std::string& metric) {
  if (!summary.contains(metric)) return "-";
  const json& mean = summary[metric];
  const int never = mean.at("never").get<int>();
  if (!mean.contains("mean")) return "never";
  const auto& known = bench::metrics::echo_metrics();
  const auto info = std::ranges::find_if(known, [&](const auto& m) { return metric == m.name; });
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.*f", info == known.end() ? 2 : info->digits,
                mean["mean"].get<double>());
  return text.data() + (never > 0 ? "!" + std::to_string(never) : std::string());
}

std::string padded(const std::string& text, std::size_t width, bool left) {
  const std::string space(width > text.size() ? width - text.size() : 0, ' ');
  return left ? text + space : space + text;
}

// Scenarios as the recordings name them.
std::vector<std::string> in_order(const json& results) {
  std::vector<std::string> names;
  for (const json& item : results["items"]) {
    const auto& name = item.at("scenario").get_ref<const std::string&>();
    if (results["summary"].contains(name) && std::ranges::find(names, name) == names.end())
      names.push_back(name);
  }
  return names;
}

bool holds_any(const json& summary, const std::vector<std::string>& metrics) {
  return std::ranges::any_of(metrics, [&](const auto& name) { return summary.contains(name); });
}

}  // namespace

Result<std::string> show_results(const std::string& place, std::vector<std::string> metrics) {
  CONCLAVE_TRY(const auto results, load_results(place));
  std::set<std::string> there;
  std::size_t scenario_width = 8;
  std::size_t system_width = 6;
  std::string table;
  try {
    for (const auto& [scenario, systems] : results["summary"].items()) {
      scenario_width = std::max(scenario_width, scenario.size());
      for (const auto& [system, summary] : systems.items()) {
        system_width = std::max(system_width, system.size());
        for (const auto& [metric, mean] : summary.items()) there.insert(metric);
      }
    }
    if (metrics.empty()) {
      metrics = kUsual;
      const auto known = [](const std::string& name) {
        return std::ranges::any_of(bench::metrics::echo_metrics(),
                                   [&](const auto& info) { return name == info.name; });
      };
      std::ranges::copy_if(there, std::back_inserter(metrics), std::not_fn(known));
      std::erase_if(metrics, [&](const auto& name) { return !there.contains(name); });
    }
    const auto missing =
        std::ranges::find_if(metrics, [&](const auto& name) { return !there.contains(name); });
    if (missing != metrics.end()) return Error{place + ": holds no metric \"" + *missing + "\""};
    table = padded("scenario", scenario_width, true) + "  " + padded("system", system_width, true);
    for (const auto& metric : metrics)
      table += "  " + padded(metric, std::max<std::size_t>(7, metric.size()), false);
    table += "\n";
    for (const auto& scenario : in_order(results)) {
      const json& systems = results["summary"].at(scenario);
      for (const auto& name : results.at("systems").get<std::vector<std::string>>()) {
        if (!systems.contains(name) || !holds_any(systems[name], metrics)) continue;
        table += padded(scenario, scenario_width, true) + "  " + padded(name, system_width, true);
        for (const auto& metric : metrics) {
          table += "  " + padded(cell(systems[name], metric),
                                 std::max<std::size_t>(7, metric.size()), false);
        }
        table += "\n";
      }
    }
  } catch (const json::exception& wrong) {
    return Error{place + ": is damaged: " + wrong.what()};
  }
  return table;
}

}  // namespace conclave::bench::echo
