// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/compare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "bench/echo/sound.h"
#include "bench/metrics/echo_score.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

Result<FailRule> parse_rule(const std::string& text) {
  const Error wrong{"--fail-on \"" + text +
                    "\": must be [SYSTEM/]METRIC[@SCENARIO]<VALUE or >VALUE"};
  FailRule rule;
  rule.text = text;
  const auto sign = text.find_first_of("<>");
  if (sign == std::string::npos) return wrong;
  rule.below = text[sign] == '<';
  std::string what = trimmed(text.substr(0, sign));
  const std::string value = trimmed(text.substr(sign + 1));
  char* end = nullptr;
  rule.limit = std::strtod(value.c_str(), &end);
  if (value.empty() || *end != 0 || !std::isfinite(rule.limit)) return wrong;
  if (const auto at = what.find('@'); at != std::string::npos) {
    rule.scenario = trimmed(what.substr(at + 1));
    what.resize(at);
    if (rule.scenario.empty()) return wrong;
  }
  if (const auto slash = what.find('/'); slash != std::string::npos) {
    rule.system = what.substr(0, slash);
    what.erase(0, slash + 1);
  }
  rule.metric = trimmed(what);
  if (rule.metric.empty()) return wrong;
  return rule;
}

struct Mean {
  std::optional<double> value;
  int never = 0;
};
Mean mean_of(const json& summary) {
  Mean mean;
  if (summary.contains("mean")) mean.value = summary.at("mean").get<double>();
  mean.never = summary.at("never").get<int>();
  return mean;
}

bool looks_at(const FailRule& rule, const Change& change) {
  return (rule.system.empty() || rule.system == change.system) && rule.metric == change.metric &&
         (rule.scenario.empty() || rule.scenario == change.scenario);
}

bool broken(const FailRule& rule, const Change& change) {
  if (change.never_after > change.never_before && !rule.below) return true;
  if (!change.before || !change.after) return false;
  const double difference = *change.after - *change.before;
  return rule.below ? difference < rule.limit : difference > rule.limit;
}

const bench::metrics::MetricInfo* info_of(const std::string& metric) {
  for (const auto& info : bench::metrics::echo_metrics())
    if (metric == info.name) return &info;
  return nullptr;
}

std::string shown(std::optional<double> value, int digits) {
  if (!value) return "never";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, *value);
  return text.data();
}

std::string named(const Change& change) {
  return change.scenario + ", " + change.system + ": " + change.metric;
}

std::string told(const Change& change) {
  const auto* info = info_of(change.metric);
  const int digits = info != nullptr ? info->digits : 3;
  std::string text = named(change) + " was " + shown(change.before, digits) + ", is " +
                     shown(change.after, digits);
  if (change.never_after > 0)
    text += " (never in " + std::to_string(change.never_after) + " items)";
  return text;
}

void find_failed_items(const json& after, Comparison& comparison) {
  for (const json& item : after["items"]) {
    for (const auto& [system, record] : item.at("systems").items()) {
      if (!record.contains("error")) continue;
      comparison.failures.push_back(item.at("id").get<std::string>() + ", " + system + ": " +
                                    record["error"].get<std::string>());
    }
  }
}

void compare_means(const json& before, const json& after, const std::vector<FailRule>& rules,
                   Comparison& comparison) {
  for (const auto& [scenario, systems] : before["summary"].items()) {
    for (const auto& [system, metrics] : systems.items()) {
      for (const auto& [metric, summary] : metrics.items()) {
        Change change{scenario, system, metric, {}, {}, 0, 0};
        const bool watched = rules.empty() || std::ranges::any_of(rules, [&](const auto& rule) {
                               return looks_at(rule, change);
                             });
        const auto path = json::json_pointer() / scenario / system / metric;
        if (!after["summary"].contains(path)) {
          if (watched) comparison.failures.push_back(named(change) + " is not there any more");
          continue;
        }
        const Mean old_mean = mean_of(summary);
        const Mean new_mean = mean_of(after["summary"][path]);
        change.before = old_mean.value;
        change.after = new_mean.value;
        change.never_before = old_mean.never;
        change.never_after = new_mean.never;
        comparison.changes.push_back(change);
        for (const auto& rule : rules) {
          if (looks_at(rule, change) && broken(rule, change))
            comparison.failures.push_back(told(change) + " (" + rule.text + ")");
        }
      }
    }
  }
}

}  // namespace

Result<json> load_results(const std::string& place) {
  std::error_code ignored;
  const std::string path =
      std::filesystem::is_directory(place, ignored) ? place + "/results.json" : place;
  CONCLAVE_TRY(const auto text, read_text(path));
  json object = json::parse(text, nullptr, false);
  if (!object.is_object() || !object.contains("conclave_bench") || !object.contains("summary") ||
      !object["summary"].is_object() || !object.contains("items") || !object["items"].is_array()) {
    return Error{path + ": is no results.json of conclave bench"};
  }
  return object;
}

Result<std::vector<FailRule>> parse_rules(const std::string& text) {
  std::vector<FailRule> rules;
  // A scenario's name may hold a comma: a piece without < or > belongs to the next one.
  std::string piece;
  for (std::size_t at = 0; at <= text.size() && !text.empty();) {
    const auto comma = std::min(text.find(',', at), text.size());
    piece += text.substr(at, comma - at);
    if (piece.find_first_of("<>") != std::string::npos || comma == text.size()) {
      CONCLAVE_TRY(auto rule, parse_rule(trimmed(piece)));
      rules.push_back(std::move(rule));
      piece.clear();
    } else {
      piece += ",";
    }
    at = comma + 1;
  }
  return rules;
}

Result<Comparison> compare_results(const std::string& before, const std::string& after,
                                   const std::vector<FailRule>& rules) {
  CONCLAVE_TRY(const auto old_results, load_results(before));
  CONCLAVE_TRY(const auto new_results, load_results(after));
  Comparison comparison;
  try {
    find_failed_items(new_results, comparison);
    compare_means(old_results, new_results, rules, comparison);
  } catch (const json::exception& wrong) {
    return Error{before + " or " + after + ": is damaged: " + wrong.what()};
  }
  for (const auto& rule : rules) {
    const bool used = std::ranges::any_of(
        comparison.changes, [&](const auto& change) { return looks_at(rule, change); });
    if (!used && comparison.failures.empty())
      return Error{"--fail-on \"" + rule.text + "\" looks at nothing that both results hold"};
  }
  return comparison;
}

std::string comparison_table(const Comparison& comparison) {
  std::string table;
  for (const auto& change : comparison.changes) {
    const auto* info = info_of(change.metric);
    const int digits = info != nullptr ? info->digits : 3;
    const std::string old_text = shown(change.before, digits);
    const std::string new_text = shown(change.after, digits);
    if (old_text == new_text) continue;
    std::string difference;
    std::string verdict;
    if (change.before && change.after) {
      const double step = *change.after - *change.before;
      difference = (step > 0 ? "+" : "") + shown(step, digits);
      if (info != nullptr && info->better != 0)
        verdict = step * info->better > 0 ? "better" : "worse";
    }
    std::array<char, 256> line{};
    std::snprintf(line.data(), line.size(), "%-30s %-16s %-20s %9s %9s %9s %s\n",
                  change.scenario.c_str(), change.system.c_str(), change.metric.c_str(),
                  old_text.c_str(), new_text.c_str(), difference.c_str(), verdict.c_str());
    table += line.data();
  }
  return table;
}

}  // namespace conclave::bench::echo
