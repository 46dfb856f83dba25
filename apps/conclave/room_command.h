// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/App.hpp>

namespace conclave::apps {

/// `conclave room serve`: the virtual room as a process behind ALSA; `conclave room render`: a
/// simulated room to files.
void add_room_command(CLI::App& app, int& exit_code);

}  // namespace conclave::apps
