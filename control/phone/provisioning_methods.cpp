// SPDX-License-Identifier: Apache-2.0
// Provisioning for every door.
#include "base/log.h"
#include "control/phone/phone.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;
using Param = RpcParam;

std::string text_of(const Json& params, const char* name) {
  const auto at = params.find(name);
  return at != params.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

void Phone::add_provisioning_methods() {
  const auto outcome = [this](const Status& done) -> RpcResult {
    if (!done) return rpc_failure(done.error(), language());
    return provisioner_->json();
  };
  dispatcher_.add(
      "provisioning.status", {}, "How the setup goes, and what became of the configuration.",
      [this](const Json&, const RpcCaller&) -> RpcResult { return provisioner_->json(); });
  dispatcher_.add("provisioning.choose", {{"provider", Param::Type::kString, true}},
                  "Picks a provider out of the console's list; empty for none of them.",
                  [this, outcome](const Json& params, const RpcCaller&) -> RpcResult {
                    return outcome(provisioner_->choose(text_of(params, "provider")));
                  });
  dispatcher_.add("provisioning.confirm",
                  {{"accept", Param::Type::kBool, true}, {"server", Param::Type::kString, false}},
                  "Takes a server that the local network announces (the first, or that address), "
                  "or refuses them.",
                  [this, outcome](const Json& params, const RpcCaller&) -> RpcResult {
                    return outcome(provisioner_->confirm(params["accept"].get<bool>(),
                                                         text_of(params, "server")));
                  });
  dispatcher_.add("provisioning.set_address", {{"address", Param::Type::kString, true}},
                  "Manual Setup: the address of a provisioning server; empty takes it away.",
                  [this, outcome](const Json& params, const RpcCaller&) -> RpcResult {
                    return outcome(provisioner_->set_address(text_of(params, "address")));
                  });
  dispatcher_.add("provisioning.resync", {}, "Looks for a new configuration now.",
                  [this, outcome](const Json&, const RpcCaller& caller) -> RpcResult {
                    const std::string who = caller.user.empty() ? "local door" : caller.user;
                    return outcome(provisioner_->resync("asked for by " + who));
                  });
  dispatcher_.add("provisioning.restart", {{"confirm", Param::Type::kBool, true}},
                  "Forgets the provisioning server and begins the setup at the beginning.",
                  [this, outcome](const Json& params, const RpcCaller& caller) -> RpcResult {
                    if (!params["confirm"].get<bool>()) {
                      return RpcFailure{kRpcInvalidParams, "confirm must be true", nullptr};
                    }
                    log::info("provisioning", "setup anew",
                              {{"user", caller.user}, {"address", caller.address}});
                    return outcome(provisioner_->anew());
                  });
  dispatcher_.add("provisioning.lease", {{"lease", Param::Type::kObject, true}},
                  "Tells what the DHCP server has told: {domain, dns, options}.",
                  [this](const Json& params, const RpcCaller&) -> RpcResult {
                    auto lease = parse_lease_options(params["lease"]);
                    if (!lease) {
                      return RpcFailure{kRpcInvalidParams, lease.error().message, nullptr};
                    }
                    provisioner_->set_lease(std::move(*lease));
                    return provisioner_->json();
                  });
}

void Phone::set_lease(LeaseOptions lease) {
  loop_.post([this, lease = std::move(lease)]() mutable {
    if (provisioner_) provisioner_->set_lease(std::move(lease));
  });
}

}  // namespace conclave::control
