// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "service/protocol/messages.h"

namespace conclave::service {

class Store;

/// Who is in which conference right now: the one truth that call control, SIP focus and bridge
/// share.
///
/// A participant is *expected* from the join request on, *present* from the established SIP dialog
/// on (only then does the roster show it), and gone when the dialog ends, when it is removed, or
/// when no dialog came within kExpectedSeconds. Any thread; the listeners are called without the
/// lock, on the thread that made the change, and must return quickly.
class ConferenceBook {
 public:
  struct Participant {
    std::string id{};
    std::string conference{};
    std::uint64_t session = 0;  ///< owner: Session::id of the bearer token
    std::string serial{};
    protocol::RosterEntry entry{};
    bool present = false;
    bool may_unmute = true;  ///< may change the own line's muting
    bool called() const { return entry.kind != protocol::Kind::kPhone; }
  };
  struct Listener {
    std::function<void()> roster_changed{};
    std::function<void(const std::string& participant, bool muted)> mute_changed{};
    std::function<void(const std::string& participant)> removed{};  ///< hang up, if there is a call
    std::function<void(const std::string& conference)> emptied{};   ///< nobody is there any more
  };

  static constexpr int kExpectedSeconds = 60;
  static constexpr int kFailedSeconds = 10;  ///< that the roster shows a call out which failed
  static constexpr std::size_t kMaxParticipants = 100;  ///< of one conference, expected ones too

  explicit ConferenceBook(const Clock& clock) : clock_(clock) {}
  /// Before other threads come in.
  void set_listener(Listener listener) { listener_ = std::move(listener); }
  /// From now on what is here outlives this process, in `store`, which must outlive this. Who was
  /// there before is expected again, as somebody who has just joined: the phone calls with the same
  /// credentials, or joins anew. Before other threads come in.
  void keep_in(Store& store);
  /// What happens from now on is not kept: the service ends, its meetings do not.
  void keep_no_more();

  /// A new expected participant; empty when the conference is full.
  std::optional<Participant> expect(std::string_view conference, std::uint64_t session,
                                    std::string_view serial, std::string_view name,
                                    protocol::Role role, bool may_unmute);
  std::optional<Participant> find(std::string_view participant) const;
  /// The participant of that conference who belongs to the session; the one with the greatest
  /// rights when there are several.
  std::optional<Participant> find_of_session(std::uint64_t session,
                                             std::string_view conference) const;
  /// Ids of one phone's participants.
  std::vector<std::string> of_serial(std::string_view serial) const;
  /// Somebody whom the service calls: in the roster from now on, with the progress of the call.
  /// When nobody is left in the conference but such, they are removed. Empty: the conference is
  /// full.
  std::optional<Participant> call(std::string_view conference, std::string_view name,
                                  protocol::Kind kind);
  /// `error` of the catalogue with kFailed. False when it is not known (any more).
  bool set_progress(std::string_view participant, protocol::Progress progress,
                    std::string_view error = {});
  bool set_operator_asked(std::string_view participant, bool asked);
  /// An operator is there: nobody waits for one any more.
  void operator_arrived(std::string_view conference);
  /// Lines on which an operator is asked for.
  std::vector<Participant> operator_asked() const;
  bool has_operator(std::string_view conference) const;
  /// The mixer records (`since_ms` since 1970) or does not, because it was told so or because it
  /// failed.
  void set_recording(std::string_view conference, bool recording, std::int64_t since_ms = 0,
                     bool failed = false);
  struct RecordingState {
    bool on = false;
    bool failed = false;  ///< the last wish could not be had
  };
  RecordingState recording(std::string_view conference) const;
  /// Its SIP dialog stands. False when it is not known (any more).
  bool arrived(std::string_view participant);
  bool remove(std::string_view participant);
  /// All of one phone.
  void remove_serial(std::string_view serial);
  bool set_muted(std::string_view participant, bool muted);
  /// All but chairpersons.
  void set_all_muted(std::string_view conference, bool muted);
  void set_talking(std::string_view participant, bool talking);
  /// Drops expected ones whose time is over. Call about once a second.
  void sweep();

  /// Everybody of a conference, expected ones too.
  std::vector<Participant> participants(std::string_view conference) const;
  bool all_muted(std::string_view conference) const;
  std::size_t count() const;  ///< of those present, in all conferences
  protocol::Roster roster(std::string_view conference) const;
  std::uint64_t revision(std::string_view conference) const;

 private:
  struct Record : Participant {
    std::int64_t since_ns = 0;
  };
  struct Conference {
    std::uint64_t revision = 1;
    bool all_muted = false;
    bool recording = false;
    bool recording_failed = false;
    std::int64_t recording_since_ms = 0;
  };
  Participant add_locked(Record record);
  bool full_locked(std::string_view conference) const;
  void changed_locked(const Record& record);
  // What is to be kept is noted under the lock and written without it: nobody who carries sound
  // waits for a disk.
  void keep_locked(const Record& record);
  void forget_locked(const std::string& participant);
  void keep_all_muted_locked(const std::string& conference, bool muted);
  void write_down();

  const Clock& clock_;
  Listener listener_{};
  mutable std::mutex mutex_;
  std::map<std::string, Record, std::less<>> participants_;
  std::map<std::string, Conference, std::less<>> conferences_;
  Store* store_ = nullptr;
  std::deque<std::function<void(Store&)>> unwritten_;
  std::mutex writing_;  ///< before mutex_; held by whoever writes, so that the order is kept
};

}  // namespace conclave::service
