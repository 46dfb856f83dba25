// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace conclave::apps {

/// `conclave settings export|import|check|sign`: configuration files.
void add_settings_file_commands(CLI::App& settings, int& exit_code);

}  // namespace conclave::apps
