// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/echo/record.h"

namespace conclave::bench::echo {

/// A mean over the items of a scenario with its bootstrap 95 % confidence interval.
struct Summary {
  double mean = 0;
  double low = 0;  ///< low == high == mean with a single item
  double high = 0;
  int count = 0;  ///< items with a value
  int never = 0;  ///< items in which it never came
};
/// Percentile bootstrap (Efron and Tibshirani, 1993), 2000 draws from a fixed seed: the same
/// values give the same interval.
Summary summarise(const std::vector<std::optional<double>>& values);

/// Everything that a run found, in the manifest's order.
struct Results {
  RunPlan plan;
  std::vector<ItemRecord> items;

  std::vector<std::string> scenarios() const;  ///< in order of appearance
  std::vector<std::string> metrics() const;    ///< those measured: ours in table order, then others
  std::vector<std::optional<double>> values(const std::string& scenario, const std::string& system,
                                            const std::string& metric) const;
};

/// Items of the plan that are in the store with all systems.
Result<Results> collect(const Store& store, const RunPlan& plan);

/// results.json and results.csv hold what depends on recordings and systems alone, so that two runs
/// give the same bytes; CPU times are in timing.json.
nlohmann::json results_json(const Results& results);
std::string results_csv(const Results& results);
nlohmann::json timing_json(const Results& results);
Status write_results(const Results& results, const std::string& folder);

}  // namespace conclave::bench::echo
