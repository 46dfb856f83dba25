// SPDX-License-Identifier: Apache-2.0
#include "bench/echo/merge.h"

#include <algorithm>
#include <filesystem>

#include "bench/echo/results.h"

namespace conclave::bench::echo {
namespace {

namespace fs = std::filesystem;

bool finished(const Store& store, const std::string& id, const RunPlan& plan) {
  return store.has(id) && std::ranges::all_of(plan.systems, [&](const auto& system) {
           return store.load_system(id, system).has_value();
         });
}

Status take(const Store& from, const Store& to, const std::string& id) {
  std::error_code failed;
  if (fs::equivalent(from.item_folder(id), to.item_folder(id), failed)) return {};
  CONCLAVE_CHECK_STATUS(to.make_item_folder(id));
  fs::copy(from.item_folder(id), to.item_folder(id),
           fs::copy_options::recursive | fs::copy_options::overwrite_existing, failed);
  if (failed) return Error{to.item_folder(id) + ": cannot be written: " + failed.message()};
  return {};
}

}  // namespace

Result<RunPlan> merge_results(const std::vector<std::string>& folders, const std::string& out) {
  if (folders.empty()) return Error{"bench merge needs result folders"};
  CONCLAVE_TRY(const auto plan, Store(folders[0]).load_plan());
  for (const auto& folder : folders) {
    CONCLAVE_TRY(const auto other, Store(folder).load_plan());
    if (other.manifest_digest != plan.manifest_digest)
      return Error{folder + ": is of another manifest than " + folders[0]};
    if (other.commands != plan.commands)
      return Error{folder + ": has other systems than " + folders[0]};
  }
  std::vector<const std::string*> missing;
  std::vector<std::pair<const std::string*, const std::string*>> found;
  for (const auto& id : plan.ids) {
    const auto holder = std::ranges::find_if(
        folders, [&](const auto& folder) { return finished(Store(folder), id, plan); });
    if (holder == folders.end()) {
      missing.push_back(&id);
    } else {
      found.emplace_back(&id, &*holder);
    }
  }
  if (!missing.empty()) {
    return Error{std::to_string(missing.size()) + " of " + std::to_string(plan.ids.size()) +
                 " items are in none of the folders, first " + *missing[0] +
                 "; give the missing shards, or --resume the one that was stopped"};
  }
  const Store to(out);
  for (const auto& [id, folder] : found) CONCLAVE_CHECK_STATUS(take(Store(*folder), to, *id));
  CONCLAVE_CHECK_STATUS(to.save(plan));
  CONCLAVE_TRY(const auto results, collect(to, plan));
  CONCLAVE_CHECK_STATUS(write_results(results, out));
  return plan;
}

}  // namespace conclave::bench::echo
