// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/conference/service_api.h"
#include "service/protocol/messages.h"

namespace conclave::control {

/// What was asked of the service within a conference and is not answered yet. Control loop.
class MeetingDesk {
 public:
  /// The participant who is being called, for dialling out; else empty.
  using Outcome = std::function<void(Result<std::string>)>;

  /// Asks; `done` is called once, later: with the service's answer, or with CC-404 when the call
  /// ends before.
  void ask(ServiceApi& service, const std::string& token, const std::string& conference,
           const MeetingCommand& command, Outcome done);
  /// The conference is over.
  void cancel();

 private:
  std::map<std::uint64_t, Outcome> waiting_;
  std::uint64_t next_ = 1;
};

}  // namespace conclave::control
