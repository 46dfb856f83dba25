// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/scorer.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "bench/echo/child.h"
#include "bench/echo/sound.h"

namespace conclave::bench::echo {
namespace {

using nlohmann::json;

constexpr double kLongest = 6 * 3600;  // learned scores are slow

Status copy_sound(const std::string& from, const std::string& to, int lag) {
  CONCLAVE_TRY(const auto sound, load_sound(from));
  const auto row = sound.samples[0];
  std::vector<float> moved(row.begin() + std::min<std::ptrdiff_t>(lag, std::ssize(row)), row.end());
  moved.resize(row.size());
  return save_sound(to, moved, sound.rate);
}

std::string job_id(const std::string& item, const std::string& system) {
  return item + "/" + system;
}

std::string sound_path(const std::string& base, const std::string& system) {
  return base + "." + system + ".out.wav";
}

Error not_a_number(const std::string& metric, const std::string& name) {
  return {"the scorer's " + metric + " of " + name + " is not a number"};
}

class Scorer {
 public:
  Scorer(const Store& store, const RunPlan& plan, std::string folder)
      : store_(store), plan_(plan), folder_(std::move(folder)) {}

  // The items' recordings are written out for it once, whatever the number of systems.
  Result<json> jobs() const {
    json list = json::array();
    for (const auto& id : plan_.ids) {
      if (!store_.has(id)) continue;
      CONCLAVE_TRY(const auto item, store_.load(id, plan_.systems));
      bool ready = false;
      const std::string base = folder_ + "/" + id;
      for (const auto& [system, record] : item.systems) {
        if (!record.error.empty() || record.scorer_ran) continue;
        if (!ready) CONCLAVE_CHECK_STATUS(hand_over(item, base));
        ready = true;
        const std::string out = sound_path(base, system);
        CONCLAVE_CHECK_STATUS(copy_sound(store_.sound(id, system), out, record.lag));
        list.push_back({{"id", job_id(id, system)},
                        {"mic", base + ".mic.wav"},
                        {"far", base + ".far.wav"},
                        {"near", item.has_near ? json(base + ".near.wav") : json()},
                        {"out", out},
                        {"rate", item.rate},
                        {"talk", item.talk}});
      }
    }
    return list;
  }

  Status keep(const json& jobs, const json& answer) const {
    for (const auto& job : jobs) {
      const std::string name = job["id"];
      const auto slash = name.rfind('/');
      const std::string id = name.substr(0, slash);
      const std::string system = name.substr(slash + 1);
      if (!answer.contains(name) || !answer[name].is_object())
        return Error{"the scorer gave nothing for " + name + "; see docs/bench.md for its form"};
      auto record = store_.load_system(id, system);
      if (!record) return Error{store_.item_folder(id) + ": changed meanwhile"};
      for (const auto& [metric, value] : answer[name].items()) {
        if (value.is_null()) continue;
        if (!value.is_number() || !std::isfinite(value.get<double>()))
          return not_a_number(metric, name);
        record->scores[metric] = value.get<double>();
      }
      record->scorer_ran = true;
      CONCLAVE_CHECK_STATUS(store_.save(id, system, *record));
    }
    return {};
  }

 private:
  Status hand_over(const ItemRecord& item, const std::string& base) const {
    CONCLAVE_CHECK_STATUS(copy_sound(store_.sound(item.id, "mic"), base + ".mic.wav", 0));
    CONCLAVE_CHECK_STATUS(copy_sound(store_.sound(item.id, "far"), base + ".far.wav", 0));
    if (!item.has_near) return {};
    return copy_sound(store_.sound(item.id, "near"), base + ".near.wav", 0);
  }

  const Store& store_;
  const RunPlan& plan_;
  std::string folder_;
};

}  // namespace

Status run_scorer(const Store& store, const RunPlan& plan, const std::string& command,
                  const std::atomic<bool>& stop) {
  CONCLAVE_TRY(auto words, split_command(command));
  CONCLAVE_TRY(const auto folder, TempFolder::create());
  const Scorer scorer(store, plan, folder.path());
  CONCLAVE_TRY(const auto jobs, scorer.jobs());
  if (jobs.empty()) return {};
  const std::string list = folder.path() + "/jobs.json";
  CONCLAVE_CHECK_STATUS(write_text(list, json{{"jobs", jobs}}.dump(1)));
  fill_in(words, "jobs", list);
  CONCLAVE_TRY(const auto child, run_child(words, list, kLongest, stop));
  const json answer = json::parse(child.output, nullptr, false);
  if (answer.is_discarded() || !answer.is_object())
    return Error{"the scorer " + words[0] + " did not print a JSON object; see docs/bench.md"};
  return scorer.keep(jobs, answer);
}

}  // namespace conclave::bench::echo
