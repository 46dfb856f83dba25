// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace CLI {
class App;
}

namespace conclave::apps {

/// `conclave bench service`: many phones against conclave-service.
void add_service_bench(CLI::App& bench, int& exit_code);

}  // namespace conclave::apps
