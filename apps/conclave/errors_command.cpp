// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/errors_command.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/conclave/command_result.h"
#include "control/errors/catalogue.h"

namespace conclave::apps {
namespace {

using control::ErrorRow;

void print_row(const ErrorRow& row) {
  const auto line = [](const char* label, std::string_view text) {
    std::printf("  %-8s %.*s\n", label, static_cast<int>(text.size()), text.data());
  };
  std::printf("%.*s\n", static_cast<int>(row.id.size()), row.id.data());
  line("message", row.message);
  line("cause", row.cause);
  line("remedy", row.remedy);
  line("who", row.who);
}

}  // namespace

void add_errors_command(CLI::App& app, int& exit_code) {
  auto* errors = app.add_subcommand("errors", "The error catalogue");
  errors->require_subcommand(1);
  auto* list = errors->add_subcommand("list", "All messages with cause and remedy");
  auto* json = list->add_flag("--json")->description("As JSON");
  list->callback([json, &exit_code] {
    if (json->count() > 0) {
      std::printf("%s\n", control::errors_json().dump(1).c_str());
    } else {
      for (const ErrorRow& row : control::errors_catalogue()) print_row(row);
    }
    exit_code = kExitOk;
  });

  auto* show = errors->add_subcommand("show", "One message: what it means and what to do");
  auto id = std::make_shared<std::string>();
  show->add_option("id", *id, "Id, such as NET-953, or the code alone")->required();
  show->callback([id, &exit_code] {
    bool found = false;
    for (const ErrorRow& row : control::errors_catalogue()) {
      if (row.id != *id && (row.code == 0 || std::to_string(row.code) != *id)) continue;
      print_row(row);
      found = true;
    }
    exit_code = found ? kExitOk
                      : report(Error{"there is no message " + *id + "; see conclave errors list"});
  });
}

}  // namespace conclave::apps
