// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace conclave::apps {

/// `conclave bench run|import ...`: measures echo control over many recordings.
void add_bench_command(CLI::App& app, int& exit_code);

}  // namespace conclave::apps
