// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/App.hpp>

namespace conclave::apps {

/// `conclave process`: recordings in, recordings out, through the phone's own engine.
void add_process_command(CLI::App& app, int& exit_code);

}  // namespace conclave::apps
