// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "service/conference_book.h"
#include "service/directory.h"
#include "service/https_server.h"

namespace conclave::service {

/// What can be asked within a conference besides muting and removing: calling somebody in, an
/// operator, recording. Each with its permission; everybody sees the outcome in the roster. No
/// sockets, no threads; any thread.
class MeetingControl {
 public:
  struct Actions {
    /// Calls a target for somebody who stands in the book. Errors: CC-DIALOUT-….
    std::function<Status(const ConferenceBook::Participant& callee, const std::string& to)> dial{};
    /// Wants a conference recorded, or not any more; the book tells when it is so.
    std::function<void(const std::string& conference, bool recording)> record{};
    /// Whether this target may be called at all. Errors: CC-DIALOUT-DENIED.
    std::function<Status(const std::string& to)> dialable{};
    std::string
        operator_address{};  ///< called when one is asked for; empty: the desk is told alone
  };
  static constexpr int kRecordingWithinS = 5;
  static constexpr int kCallsAtOnce = 10;  ///< being set up, of one conference

  MeetingControl(ConferenceBook& book, Actions actions);

  /// `verb`: the part of the path behind the conference. `self`: the caller's participant there.
  /// 404 for verbs that there are not.
  HttpAnswer handle(const HttpRequest& request, std::string_view verb,
                    const ConferenceEntry& conference, const ConferenceBook::Participant& self);

  /// The administrator's list of lines that wait for an operator: GET /operator; DELETE
  /// /operator/PARTICIPANT takes one off. `path`: below /admin. Empty: not about that.
  std::optional<HttpAnswer> operator_desk(const HttpRequest& request, std::string_view path);

 private:
  HttpAnswer dial_out(const HttpRequest& request, const ConferenceEntry& conference,
                      const ConferenceBook::Participant& self);
  HttpAnswer operator_call(const HttpRequest& request, const ConferenceEntry& conference,
                           const ConferenceBook::Participant& self);
  HttpAnswer record(const HttpRequest& request, const ConferenceEntry& conference,
                    const ConferenceBook::Participant& self);

  ConferenceBook& book_;
  const Actions actions_;
  std::mutex mutex_;
  struct Wish {
    bool recording = false;
    std::int64_t until_ns = 0;  ///< whoever waited for it has an answer by then
  };
  std::map<std::string, Wish> wishes_;  ///< by conference, until it is so
};

}  // namespace conclave::service
