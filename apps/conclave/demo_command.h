// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace conclave::apps {

/// `conclave demo`: the whole phone in its virtual room; what ./run becomes.
void add_demo_command(CLI::App& app, int& exit_code);

}  // namespace conclave::apps
