// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace conclave::apps {

/// `conclave errors list [--json]` and `conclave errors show ID`: the error catalogue.
void add_errors_command(CLI::App& app, int& exit_code);

}  // namespace conclave::apps
