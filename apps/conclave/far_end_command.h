// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <CLI/App.hpp>

namespace conclave::apps {

/// `conclave far-end`: a participant at the other end of a conference, who talks and records.
void add_far_end_command(CLI::App& app, int& exit_code);

}  // namespace conclave::apps
