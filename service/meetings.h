// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "service/directory.h"
#include "service/store/store.h"

namespace conclave::service {

/// The meetings there are: those of conferences.json and, on top, what the administrator has made,
/// changed or deleted since, kept in the store. When an entry of the file is changed, it counts
/// again. Any thread.
class Meetings {
 public:
  /// `declared` must outlive this and not change under it; so must `store`, which may be null.
  explicit Meetings(const Directory& declared, Store* store = nullptr)
      : declared_(declared), store_(store) {}
  /// Reads the store. A kept meeting whose passcode the file has given to another one by now is
  /// left out, with a warning.
  Status load();

  struct Found {
    ConferenceEntry conference{};
    protocol::Role role = protocol::Role::kParticipant;
  };
  /// Compares with every passcode, in the same time for right and wrong ones.
  std::optional<Found> find_by_passcode(std::string_view passcode) const;
  std::optional<ConferenceEntry> find(std::string_view id) const;

  struct Listed {
    ConferenceEntry entry{};
    bool declared = false;  ///< as conferences.json says
  };
  std::vector<Listed> list() const;

  static constexpr std::size_t kMaxMeetings = 5000;
  /// Makes or changes one. Errors say what is wrong: passcode in use, too many.
  Status put(const ConferenceEntry& entry);
  /// False: there is none.
  Result<bool> remove(const std::string& id);

 private:
  using Records = std::map<std::string, MeetingRecord, std::less<>>;
  std::string basis_of(std::string_view id) const;
  /// Calls `visit(entry, declared)` for each that counts.
  template <typename Visit>
  void each(const Records& records, Visit visit) const;
  /// Id of the meeting other than `id` that uses the passcode.
  std::string user_of(const Records& records, std::string_view passcode, std::string_view id) const;

  const Directory& declared_;
  Store* const store_;
  mutable std::mutex mutex_;
  Records records_;
};

}  // namespace conclave::service
