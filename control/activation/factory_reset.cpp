// SPDX-License-Identifier: Apache-2.0
#include "control/activation/factory_reset.h"

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/durable_file.h"
#include "base/log.h"
#include "control/settings/registry.h"
#include "control/settings/store.h"

namespace conclave::control {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kOrder = "factory-reset";

bool is_order(const fs::path& path) {
  const std::string name = path.filename().string();
  return name == kOrder || name.rfind(std::string(kOrder) + ".", 0) == 0;
}

/// Deletes what is in the folder, but for `keep` (and the folders that lead to it). Does not follow
/// links.
Status empty_folder(const fs::path& folder, const fs::path& keep, bool top) {
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(folder, ec)) {
    const fs::path& path = entry.path();
    if (top && is_order(path)) continue;
    if (!keep.empty() && path == keep) continue;
    const bool leads_to_kept = !keep.empty() && keep.string().rfind(path.string() + "/", 0) == 0;
    if (entry.is_directory(ec) && !entry.is_symlink(ec) && leads_to_kept) {
      CONCLAVE_CHECK_STATUS(empty_folder(path, keep, false));
      continue;
    }
    fs::remove_all(path, ec);
    if (ec) {
      return Error{"the factory reset cannot delete " + path.string() + ": " + ec.message() +
                   "; check the folder's owner and start again"};
    }
  }
  if (ec) return Error{"the factory reset cannot read " + folder.string() + ": " + ec.message()};
  return {};
}

}  // namespace

Status order_factory_reset(const std::string& data_folder, const std::string& service_ca) {
  Store order(data_folder + "/" + kOrder);
  return order.save(Json{{"service_ca", service_ca}}.dump());
}

Result<bool> finish_factory_reset(const std::string& data_folder) {
  const fs::path folder = fs::absolute(data_folder).lexically_normal();
  const Store order((folder / kOrder).string());
  const Store::Loaded loaded = order.load();
  if (loaded.source == Store::Source::kNone) return false;
  const Json wish = Json::parse(loaded.content, nullptr, false);
  const std::string ca = wish.is_object() ? wish.value("service_ca", "") : "";
  fs::path keep;
  if (!ca.empty()) keep = fs::absolute(ca).lexically_normal();
  CONCLAVE_CHECK_STATUS(empty_folder(folder, keep, true));
  if (!ca.empty()) {
    Registry settings(std::make_unique<Store>((folder / "settings.conclave").string()));
    const auto outcome =
        settings.apply(Layer::kLocal, {{"Security.Certificates.ServiceCa", Json(ca)}});
    // A path that is no longer valid is no reason to stay half reset.
    if (!outcome.ok()) {
      log::warning("reset", "the service CA is not kept",
                   {{"why", outcome.errors.begin()->second}});
    }
  }
  // The copy first: the other way round it would count as an order once more.
  std::error_code ec;
  fs::remove(order.path() + ".last-good", ec);
  fs::remove(order.path(), ec);
  if (ec) return Error{"the factory reset cannot end: " + ec.message() + "; start again"};
  CONCLAVE_CHECK_STATUS(flush_folder(folder.string()));
  log::info("reset", "factory reset done");
  return true;
}

}  // namespace conclave::control
