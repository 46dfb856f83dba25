// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/CLI.hpp>

namespace conclave::apps {

/// `conclave ctl --data DIR METHOD [PARAMS]`: asks a running phone on this machine; prints the
/// result as one line of JSON.
void add_ctl_command(CLI::App& app, int& exit_code);

}  // namespace conclave::apps
