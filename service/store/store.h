// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "service/directory.h"
#include "service/store/database.h"

namespace conclave::service {

using WallClock = std::function<std::int64_t()>;  ///< seconds since 1970
std::int64_t wall_clock_s();

/// What has happened to a phone since conferences.json was written.
struct PhoneRecord {
  std::string basis{};  ///< digest of the directory's entry that this was built on; empty: none
  PhoneState state = PhoneState::kInactive;
  std::string token_digest{};         ///< SHA-256 of the activation's token; empty: none
  std::int64_t since_s = 0;           ///< of the state
  std::optional<PhoneEntry> entry{};  ///< what the administrator wrote instead of the directory
};

/// A meeting that the administrator has made, changed or deleted since.
struct MeetingRecord {
  std::string basis{};  ///< as above
  bool deleted = false;
  ConferenceEntry entry{};
};

/// Last login of a phone.
struct PhoneSeen {
  std::int64_t at_s = 0;
  std::string peer{};
  std::string model{};
  std::string version{};
};

/// What a phone has told the service about itself, such as the outcome of a configuration.
struct PhoneReport {
  std::int64_t at_s = 0;
  std::string kind{};
  std::string body{};  ///< JSON
};

struct SessionRecord {
  std::string token_digest{};  ///< lower-case hexadecimal
  std::uint64_t session = 0;
  std::string serial{};
  std::string display_name{};
  std::int64_t expires_s = 0;
};

struct ParticipantRecord {
  std::string id{};
  std::string conference{};
  std::uint64_t session = 0;
  std::string serial{};
  std::string name{};
  bool chairperson = false;
  bool muted = false;
  bool may_unmute = true;
};

/// What the service keeps, in one SQLite file (DIR/service.db, 0600). What the administrator and
/// activations decide is on the disk when the call returns; what belongs to running meetings
/// (sessions, participants) survives a kill of the process at any moment, and mostly a power cut,
/// at which the meetings are over anyway. Any thread; a write takes 0.1 to 20 ms.
class Store {
 public:
  static constexpr int kSchemaVersion = 1;
  static constexpr int kReportsOfPhone = 20;
  static constexpr std::size_t kMaxReportBytes = 64 * 1024;
  static constexpr int kMaxSeen = 10'000;  ///< where any phone may log in, serials are made up

  /// Makes the file or brings it to kSchemaVersion. A damaged one, or one of a newer version, is an
  /// error: guessing would let phones in. `path` may be ":memory:".
  static Result<std::unique_ptr<Store>> open(const std::string& path, WallClock now = {});

  Result<std::map<std::string, PhoneRecord>> phones();
  Status put_phone(const std::string& serial, const PhoneRecord& record);
  Status remove_phone(const std::string& serial);
  /// Takes over DIR/phones.json of earlier versions, once, and renames it to phones.json.imported.
  Status import_phones(const std::string& file);

  Status saw(const std::string& serial, const PhoneSeen& seen);
  std::map<std::string, PhoneSeen> seen();
  /// The oldest of more than kReportsOfPhone go. `body` longer than kMaxReportBytes is an error.
  Status put_report(const std::string& serial, std::string_view kind, std::string_view body);
  /// Newest first.
  std::vector<PhoneReport> reports(const std::string& serial);
  /// The newest one of each phone, without its body.
  std::map<std::string, PhoneReport> newest_reports();

  Result<std::map<std::string, MeetingRecord>> meetings();
  Status put_meeting(const std::string& id, const MeetingRecord& record);

  // Running meetings.
  Status put_session(const SessionRecord& record);
  void remove_session(std::string_view token_digest);
  void remove_sessions(std::string_view serial);
  std::vector<SessionRecord> sessions();  ///< those not yet expired; the others are deleted
  Status put_participant(const ParticipantRecord& record);
  void remove_participant(const std::string& id);
  std::vector<ParticipantRecord> participants();
  void set_all_muted(const std::string& conference, bool muted);
  std::vector<std::string> all_muted();

  /// The clock that all times here are of.
  std::int64_t now() const { return now_(); }

 private:
  Store(std::unique_ptr<Database> database, WallClock now)
      : database_(std::move(database)), now_(std::move(now)) {}
  Status migrate();

  std::mutex mutex_;
  const std::unique_ptr<Database> database_;
  const WallClock now_;
  unsigned seen_writes_ = 0;
};

}  // namespace conclave::service
