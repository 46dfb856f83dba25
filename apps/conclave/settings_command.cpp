// SPDX-License-Identifier: Apache-2.0
#include "apps/conclave/settings_command.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/conclave/command_result.h"
#include "apps/conclave/settings_files.h"
#include "control/settings/registry.h"

namespace conclave::apps {

void add_settings_command(CLI::App& app, int& exit_code) {
  auto* settings = app.add_subcommand("settings", "The settings catalogue");
  settings->require_subcommand(1);
  auto* list = settings->add_subcommand("list", "All settings with type, range and factory value");
  auto* json = list->add_flag("--json")->description("As JSON");
  list->callback([json, &exit_code] {
    // A registry without a store shows factory values.
    const control::Registry registry;
    const nlohmann::json rows = registry.list();
    if (json->count() > 0) {
      std::printf("%s\n", rows.dump(1).c_str());
    } else {
      for (const auto& row : rows) {
        const std::string shown = row["secret"].get<bool>() ? "(secret)" : row["default"].dump();
        std::printf("%-38s %-9s %-28s %s\n", row["name"].get_ref<const std::string&>().c_str(),
                    row["type"].get_ref<const std::string&>().c_str(), shown.c_str(),
                    row["title"].get_ref<const std::string&>().c_str());
      }
    }
    exit_code = kExitOk;
  });
  add_settings_file_commands(*settings, exit_code);
}

}  // namespace conclave::apps
