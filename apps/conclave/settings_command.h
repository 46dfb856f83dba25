// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace conclave::apps {

/// `conclave settings list [--json]`: the settings catalogue.
void add_settings_command(CLI::App& app, int& exit_code);

}  // namespace conclave::apps
