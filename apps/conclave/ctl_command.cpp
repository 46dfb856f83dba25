// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/ctl_command.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/conclave/command_result.h"
#include "apps/conclave/phone_door.h"

namespace conclave::apps {
namespace {

struct CtlOptions {
  std::string data;
  std::string method;
  std::string params = "{}";
  int timeout_s = 10;
};

Status ask(const CtlOptions& options) {
  CONCLAVE_TRY(const auto result,
               ask_phone(options.data, options.method,
                         nlohmann::json::parse(options.params, nullptr, false), options.timeout_s));
  std::printf("%s\n", result.dump().c_str());
  return {};
}

}  // namespace

void add_ctl_command(CLI::App& app, int& exit_code) {
  auto* ctl = app.add_subcommand("ctl", "Talk to a running phone (methods: rpc.describe)");
  auto options = std::make_shared<CtlOptions>();
  ctl->add_option("--data", options->data, "The phone's data folder")->required();
  ctl->add_option("--timeout", options->timeout_s, "Seconds to wait for the answer")
      ->check(CLI::Range(1, 600));
  ctl->add_option("method", options->method, "Such as call.mute")->required();
  ctl->add_option("params", options->params, R"(JSON object, such as {"muted":true})")
      ->check([](const std::string& text) -> std::string {
        return nlohmann::json::parse(text, nullptr, false).is_object() ? ""
                                                                       : "must be a JSON object";
      });
  ctl->callback([options, &exit_code] { exit_code = report(ask(*options)); });
}

}  // namespace conclave::apps
