// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::bench::echo {

/// A results.json, or that of a folder; checked to be one.
Result<nlohmann::json> load_results(const std::string& place);

/// What must not happen: "[SYSTEM/]METRIC[@SCENARIO]<VALUE" (or >): the change new - old of a
/// scenario's mean is below (above) VALUE. "erle_ss<-1", "conclave/t20_s@far end 16k>0.2".
struct FailRule {
  std::string text;
  std::string system;  ///< empty: any
  std::string metric;
  std::string scenario;  ///< empty: any
  bool below = true;
  double limit = 0;
};
/// Rules by commas.
Result<std::vector<FailRule>> parse_rules(const std::string& text);

struct Change {
  std::string scenario;
  std::string system;
  std::string metric;
  std::optional<double> before;  ///< mean; empty: never came in any item
  std::optional<double> after;
  int never_before = 0;
  int never_after = 0;
};

struct Comparison {
  std::vector<Change> changes;  ///< of every mean that both have
  /// One line each: rules that were broken; means, items or systems of OLD that NEW has not; items
  /// that failed in NEW. With rules only what a rule looks at counts.
  std::vector<std::string> failures;
};

/// `before` and `after`: results.json files, or folders that hold one. A thing that came before and
/// never comes now breaks every rule on its metric that asks for "less is better" (>).
Result<Comparison> compare_results(const std::string& before, const std::string& after,
                                   const std::vector<FailRule>& rules);

/// A table of what changed by more than its last shown digit; empty: nothing did.
std::string comparison_table(const Comparison& comparison);

}  // namespace conclave::bench::echo
