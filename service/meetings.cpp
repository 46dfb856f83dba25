// SPDX-License-Identifier: Apache-2.0
#include "service/meetings.h"

#include "base/log.h"
#include "service/secrets.h"

namespace conclave::service {
namespace {

using protocol::Role;

std::string digest_of(const ConferenceEntry& entry) { return sha256_hex(to_json(entry)); }

}  // namespace

std::string Meetings::basis_of(std::string_view id) const {
  const ConferenceEntry* entry = declared_.find(id);
  return entry != nullptr ? digest_of(*entry) : std::string();
}

template <typename Visit>
void Meetings::each(const Records& records, Visit visit) const {
  for (const auto& entry : declared_.conferences) {
    const auto kept = records.find(entry.id);
    if (kept == records.end() || kept->second.basis != digest_of(entry)) visit(entry, true);
  }
  for (const auto& [id, record] : records) {
    if (!record.deleted && record.basis == basis_of(id)) visit(record.entry, false);
  }
}

std::string Meetings::user_of(const Records& records, std::string_view passcode,
                              std::string_view id) const {
  std::string found;
  each(records, [&](const ConferenceEntry& entry, bool) {
    if (entry.id != id && (same_secret(entry.chairperson_passcode, passcode) ||
                           same_secret(entry.participant_passcode, passcode))) {
      found = entry.id;
    }
  });
  return found;
}

Status Meetings::load() {
  if (store_ == nullptr) return {};
  CONCLAVE_TRY(const auto kept, store_->meetings());
  const std::lock_guard lock(mutex_);
  records_.clear();
  for (const auto& [id, record] : kept) {
    if (!record.deleted) {
      const ConferenceEntry& entry = record.entry;
      const std::string other = user_of(records_, entry.chairperson_passcode, id) +
                                user_of(records_, entry.participant_passcode, id);
      if (!other.empty() && record.basis == basis_of(id)) {
        log::warning("service.meetings",
                     "a passcode leads to two meetings; the one of the conferences file counts",
                     {{"left_out", id}, {"counts", other}});
        continue;
      }
    }
    records_[id] = record;
  }
  return {};
}

std::optional<Meetings::Found> Meetings::find_by_passcode(std::string_view passcode) const {
  const std::lock_guard lock(mutex_);
  std::optional<Found> found;
  // No early way out: how long it takes must not tell which entry nearly matched.
  each(records_, [&](const ConferenceEntry& entry, bool) {
    if (same_secret(entry.chairperson_passcode, passcode)) found = {entry, Role::kChairperson};
    if (same_secret(entry.participant_passcode, passcode)) found = {entry, Role::kParticipant};
  });
  return found;
}

std::optional<ConferenceEntry> Meetings::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  std::optional<ConferenceEntry> found;
  each(records_, [&](const ConferenceEntry& entry, bool) {
    if (entry.id == id) found = entry;
  });
  return found;
}

std::vector<Meetings::Listed> Meetings::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<Listed> out;
  each(records_, [&](const ConferenceEntry& entry, bool declared) {
    out.push_back({entry, declared});
  });
  return out;
}

Status Meetings::put(const ConferenceEntry& entry) {
  const std::lock_guard lock(mutex_);
  if (records_.size() >= kMaxMeetings && !records_.contains(entry.id)) {
    return Error{"there are " + std::to_string(kMaxMeetings) + " meetings already; delete some"};
  }
  if (entry.chairperson_passcode == entry.participant_passcode) {
    return Error{"the two passcodes must differ: each leads to one role"};
  }
  for (const auto& passcode : {entry.chairperson_passcode, entry.participant_passcode}) {
    const std::string other = user_of(records_, passcode, entry.id);
    if (!other.empty()) return Error{"a passcode is used by the meeting " + other + " already"};
  }
  const MeetingRecord record{basis_of(entry.id), false, entry};
  if (store_ != nullptr) CONCLAVE_CHECK_STATUS(store_->put_meeting(entry.id, record));
  records_[entry.id] = record;
  return {};
}

Result<bool> Meetings::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  bool there = false;
  each(records_, [&](const ConferenceEntry& entry, bool) { there = there || entry.id == id; });
  if (!there) return false;
  MeetingRecord record{basis_of(id), true, {}};
  record.entry.id = id;
  if (store_ != nullptr) CONCLAVE_CHECK_STATUS(store_->put_meeting(id, record));
  if (record.basis.empty()) {
    records_.erase(id);
  } else {
    records_[id] = record;
  }
  return true;
}

}  // namespace conclave::service
