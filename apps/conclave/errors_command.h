// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace conclave::apps {

/// `conclave errors list [--json] [--language de]` and `conclave errors show ID [--language de]`.
void add_errors_command(CLI::App& app, int& exit_code);

}  // namespace conclave::apps
