// SPDX-License-Identifier: Apache-2.0
#include "control/conference/meeting.h"

#include <utility>

#include "control/errors/catalogue.h"

namespace conclave::control {

void MeetingDesk::ask(ServiceApi& service, const std::string& token, const std::string& conference,
                      const MeetingCommand& command, Outcome done) {
  const std::uint64_t number = next_++;
  waiting_[number] = std::move(done);
  service.command(token, conference, command,
                  [this, number](const ServiceResult<std::string>& result) {
                    auto found = waiting_.extract(number);
                    if (found.empty()) return;
                    if (const auto* failure = std::get_if<ServiceFailure>(&result)) {
                      found.mapped()(failure->error);
                    } else {
                      found.mapped()(std::get<std::string>(result));
                    }
                  });
}

void MeetingDesk::cancel() {
  for (auto& [number, done] : std::exchange(waiting_, {})) done(catalogue_error("CC-404"));
}

}  // namespace conclave::control
