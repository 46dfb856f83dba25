// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "service/conference_book.h"
#include "service/https_server.h"
#include "service/meetings.h"

namespace conclave::service {

/// The administrator's requests below /admin/meetings: meetings, who is in them, muting and
/// removing. Any thread.
class MeetingDesk {
 public:
  MeetingDesk(Meetings& meetings, ConferenceBook& book) : meetings_(meetings), book_(book) {}
  /// `rest`: the path behind /admin/meetings/. Whoever asks has shown the token.
  HttpAnswer handle(const HttpRequest& request, std::string_view rest);

 private:
  HttpAnswer list() const;
  HttpAnswer put(const HttpRequest& request, const std::string& id);
  HttpAnswer remove(const std::string& id);
  HttpAnswer mute(const HttpRequest& request, const std::string& id, const std::string& who);
  HttpAnswer eject(const std::string& id, const std::string& who);

  Meetings& meetings_;
  ConferenceBook& book_;
};

}  // namespace conclave::service
