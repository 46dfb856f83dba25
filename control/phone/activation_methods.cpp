// SPDX-License-Identifier: Apache-2.0
// Activation, deactivation and factory reset for every door.
#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "control/activation/factory_reset.h"
#include "control/phone/phone.h"

namespace conclave::control {
namespace {

using Json = nlohmann::json;
using Param = RpcParam;

// Long enough for the answer to reach whoever asked.
constexpr std::chrono::milliseconds kBeforeRestart{300};

RpcFailure not_confirmed() {
  return {kRpcInvalidParams, "this cannot be undone: confirm must be true", nullptr};
}

/// Begins with "deactivate", letters only: no profile may take another method's name.
std::string provider_command(const Json& provider) {
  const auto texts = provider.find("texts");
  if (texts == provider.end() || !texts->is_object()) return {};
  const auto at = texts->find("deactivate_command");
  if (at == texts->end() || !at->is_string()) return {};
  auto command = at->get<std::string>();
  const bool letters = std::all_of(command.begin(), command.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
  return letters && command.starts_with("deactivate") ? command : std::string();
}

}  // namespace

void Phone::add_activation_methods() {
  dispatcher_.add("activation.activate", {{"pin", Param::Type::kString, true}},
                  "Activates the phone with the service by a PIN; the state tells how it goes.",
                  [this](const Json& params, const RpcCaller&) -> RpcResult {
                    const Status begun = activation_->activate(params["pin"].get<std::string>());
                    if (!begun) return rpc_failure(begun.error(), language());
                    return activation_->json();
                  });
  dispatcher_.add(
      "activation.status", {}, "Whether the phone is activated.",
      [this](const Json&, const RpcCaller&) -> RpcResult { return activation_->json(); });
  const auto deactivate = [this](const RpcCaller& caller) -> RpcResult {
    log::info("activation", "deactivation asked for",
              {{"user", caller.user}, {"address", caller.address}});
    const Status done = activation_->deactivate();
    if (!done) return rpc_failure(done.error(), language());
    return activation_->json();
  };
  dispatcher_.add(
      "activation.deactivate", {{"confirm", Param::Type::kBool, true}},
      "Ends the activation: no passcode is accepted until the phone is activated again.",
      [deactivate](const Json& params, const RpcCaller& caller) -> RpcResult {
        if (!params["confirm"].get<bool>()) return not_confirmed();
        return deactivate(caller);
      });
  // The guide's shell command, which asks nobody back, has the provider's name in it.
  if (const std::string command = provider_command(config_.provider); !command.empty()) {
    dispatcher_.add(command, {}, "The same as activation.deactivate.",
                    [deactivate](const Json&, const RpcCaller& caller) -> RpcResult {
                      return deactivate(caller);
                    });
  }
  dispatcher_.add(
      "phone.factory_reset", {{"confirm", Param::Type::kBool, true}},
      "Deletes everything but the service's CA certificate and starts the phone anew.",
      [this](const Json& params, const RpcCaller& caller) -> RpcResult {
        if (!params["confirm"].get<bool>()) return not_confirmed();
        if (!restart_)
          return RpcFailure{kRpcFailed, "this program cannot start itself anew", nullptr};
        const Status ordered = order_factory_reset(
            config_.data_folder, settings_->get_text(Key::kSecurityCertificatesServiceCa));
        if (!ordered) return rpc_failure(ordered.error(), language());
        log::warning("reset", "factory reset asked for",
                     {{"user", caller.user}, {"address", caller.address}});
        loop_.after(kBeforeRestart, [this] { restart_(); });
        return Json{{"restarting", true}};
      });
}

}  // namespace conclave::control
