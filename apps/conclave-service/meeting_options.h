// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "service/service.h"

namespace CLI {
class App;
}

namespace conclave::apps {

/// Options about meetings (calling out, operator, recording) and the ways to them (SIP addresses,
/// tunnel).
void add_meeting_options(CLI::App& app, service::ServiceConfig& config);

}  // namespace conclave::apps
