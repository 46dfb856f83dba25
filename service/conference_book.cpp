// SPDX-License-Identifier: Apache-2.0
#include "service/conference_book.h"

#include <algorithm>

#include "service/secrets.h"

namespace conclave::service {

using protocol::Role;

void ConferenceBook::changed_locked(const Record& record) {
  if (record.present) ++conferences_[record.conference].revision;
}

std::optional<ConferenceBook::Participant> ConferenceBook::expect(std::string_view conference,
                                                                  std::uint64_t session,
                                                                  std::string_view serial,
                                                                  std::string_view name, Role role,
                                                                  bool may_unmute) {
  const std::lock_guard lock(mutex_);
  const auto count = std::count_if(participants_.begin(), participants_.end(), [&](const auto& p) {
    return p.second.conference == conference;
  });
  if (static_cast<std::size_t>(count) >= kMaxParticipants) return std::nullopt;
  Record record;
  record.id = "p" + random_hex(8);
  record.conference = conference;
  record.session = session;
  record.serial = serial;
  record.entry = {std::string(name), role, false, false};
  record.since_ns = clock_.now_ns();
  record.may_unmute = may_unmute;
  // "Mute all" is a property of the conference: who comes later is muted too.
  const auto& state = conferences_[record.conference];
  record.entry.muted = state.all_muted && role != Role::kChairperson;
  const Participant out = record;
  participants_[record.id] = std::move(record);
  return out;
}

std::optional<ConferenceBook::Participant> ConferenceBook::find(
    std::string_view participant) const {
  const std::lock_guard lock(mutex_);
  const auto it = participants_.find(participant);
  if (it == participants_.end()) return std::nullopt;
  return it->second;
}

std::optional<ConferenceBook::Participant> ConferenceBook::find_of_session(
    std::uint64_t session, std::string_view conference) const {
  const std::lock_guard lock(mutex_);
  const Record* found = nullptr;
  for (const auto& [id, record] : participants_) {
    if (record.session != session || record.conference != conference) continue;
    if (found == nullptr || record.entry.role == Role::kChairperson) found = &record;
  }
  if (found == nullptr) return std::nullopt;
  return *found;
}

bool ConferenceBook::arrived(std::string_view participant) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = participants_.find(participant);
    if (it == participants_.end()) return false;
    if (it->second.present) return true;
    it->second.present = true;
    changed_locked(it->second);
  }
  if (listener_.roster_changed) listener_.roster_changed();
  return true;
}

void ConferenceBook::remove_serial(std::string_view serial) {
  std::vector<std::string> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, record] : participants_) {
      if (record.serial == serial) ids.push_back(id);
    }
  }
  for (const auto& id : ids) remove(id);
}

bool ConferenceBook::remove(std::string_view participant) {
  const std::string id(participant);
  {
    const std::lock_guard lock(mutex_);
    const auto it = participants_.find(participant);
    if (it == participants_.end()) return false;
    changed_locked(it->second);
    const std::string conference = it->second.conference;
    participants_.erase(it);
    const bool empty = std::none_of(participants_.begin(), participants_.end(), [&](const auto& p) {
      return p.second.conference == conference;
    });
    if (empty) conferences_[conference].all_muted = false;
  }
  if (listener_.removed) listener_.removed(id);
  if (listener_.roster_changed) listener_.roster_changed();
  return true;
}

bool ConferenceBook::set_muted(std::string_view participant, bool muted) {
  const std::string id(participant);
  {
    const std::lock_guard lock(mutex_);
    const auto it = participants_.find(participant);
    if (it == participants_.end()) return false;
    auto& entry = it->second.entry;
    if (entry.muted == muted) return true;
    entry.muted = muted;
    if (muted) entry.talking = false;
    changed_locked(it->second);
  }
  if (listener_.mute_changed) listener_.mute_changed(id, muted);
  if (listener_.roster_changed) listener_.roster_changed();
  return true;
}

void ConferenceBook::set_all_muted(std::string_view conference, bool muted) {
  std::vector<std::string> affected;
  {
    const std::lock_guard lock(mutex_);
    conferences_[std::string(conference)].all_muted = muted;
    for (const auto& [id, record] : participants_) {
      if (record.conference == conference && record.entry.role != Role::kChairperson) {
        affected.push_back(id);
      }
    }
  }
  for (const auto& id : affected) set_muted(id, muted);
}

void ConferenceBook::set_talking(std::string_view participant, bool talking) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = participants_.find(participant);
    if (it == participants_.end()) return;
    auto& entry = it->second.entry;
    const bool wanted = talking && !entry.muted;
    if (entry.talking == wanted) return;
    entry.talking = wanted;
    changed_locked(it->second);
  }
  if (listener_.roster_changed) listener_.roster_changed();
}

void ConferenceBook::sweep() {
  std::vector<std::string> overdue;
  const std::int64_t now = clock_.now_ns();
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, record] : participants_) {
      if (!record.present &&
          now - record.since_ns > std::int64_t{kExpectedSeconds} * 1'000'000'000) {
        overdue.push_back(id);
      }
    }
  }
  for (const auto& id : overdue) remove(id);
}

protocol::Roster ConferenceBook::roster(std::string_view conference) const {
  const std::lock_guard lock(mutex_);
  protocol::Roster out;
  const auto it = conferences_.find(conference);
  out.revision = it == conferences_.end() ? 1 : it->second.revision;
  for (const auto& [id, record] : participants_) {
    if (record.conference == conference && record.present) out.participants[id] = record.entry;
  }
  return out;
}

std::uint64_t ConferenceBook::revision(std::string_view conference) const {
  const std::lock_guard lock(mutex_);
  const auto it = conferences_.find(conference);
  return it == conferences_.end() ? 1 : it->second.revision;
}

}  // namespace conclave::service
