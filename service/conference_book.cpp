// SPDX-License-Identifier: Apache-2.0
#include "service/conference_book.h"

#include <algorithm>

#include "base/log.h"
#include "service/secrets.h"
#include "service/store/store.h"

namespace conclave::service {

using protocol::Role;

void ConferenceBook::changed_locked(const Record& record) {
  if (record.present) ++conferences_[record.conference].revision;
}

void ConferenceBook::keep_in(Store& store) {
  const std::lock_guard lock(mutex_);
  store_ = &store;
  // A roster that is asked for with a revision of the process before must count as changed.
  const auto revision = static_cast<std::uint64_t>(store.now()) * 1000;
  for (const auto& kept : store.participants()) {
    Record record;
    record.id = kept.id;
    record.conference = kept.conference;
    record.session = kept.session;
    record.serial = kept.serial;
    record.entry = {kept.name, kept.chairperson ? Role::kChairperson : Role::kParticipant,
                    kept.muted, false};
    record.may_unmute = kept.may_unmute;
    record.since_ns = clock_.now_ns();
    conferences_[kept.conference].revision = revision;
    participants_[kept.id] = std::move(record);
  }
  for (const auto& conference : store.all_muted()) conferences_[conference].all_muted = true;
}

void ConferenceBook::keep_no_more() {
  const std::lock_guard writing(writing_);
  const std::lock_guard lock(mutex_);
  store_ = nullptr;
  unwritten_.clear();
}

void ConferenceBook::keep_locked(const Record& record) {
  if (store_ == nullptr) return;
  ParticipantRecord out{record.id,          record.conference,
                        record.session,     record.serial,
                        record.entry.name,  record.entry.role == Role::kChairperson,
                        record.entry.muted, record.may_unmute};
  unwritten_.emplace_back([out = std::move(out)](Store& store) {
    if (const Status kept = store.put_participant(out); !kept) {
      log::error("service.book", kept.error().message);
    }
  });
}

void ConferenceBook::forget_locked(const std::string& participant) {
  if (store_ == nullptr) return;
  unwritten_.emplace_back([participant](Store& store) { store.remove_participant(participant); });
}

void ConferenceBook::keep_all_muted_locked(const std::string& conference, bool muted) {
  if (store_ == nullptr) return;
  unwritten_.emplace_back(
      [conference, muted](Store& store) { store.set_all_muted(conference, muted); });
}

void ConferenceBook::write_down() {
  const std::lock_guard writing(writing_);
  std::deque<std::function<void(Store&)>> now;
  Store* store = nullptr;
  {
    const std::lock_guard lock(mutex_);
    now.swap(unwritten_);
    store = store_;
  }
  if (store == nullptr) return;
  for (const auto& write : now) write(*store);
}

std::optional<ConferenceBook::Participant> ConferenceBook::expect(std::string_view conference,
                                                                  std::uint64_t session,
                                                                  std::string_view serial,
                                                                  std::string_view name, Role role,
                                                                  bool may_unmute) {
  std::unique_lock lock(mutex_);
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
  keep_locked(record);
  participants_[record.id] = std::move(record);
  lock.unlock();
  write_down();
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

std::vector<std::string> ConferenceBook::of_serial(std::string_view serial) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, record] : participants_) {
    if (record.serial == serial) ids.push_back(id);
  }
  return ids;
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
    forget_locked(id);
    const bool empty = std::none_of(participants_.begin(), participants_.end(), [&](const auto& p) {
      return p.second.conference == conference;
    });
    if (empty && conferences_[conference].all_muted) {
      conferences_[conference].all_muted = false;
      keep_all_muted_locked(conference, false);
    }
  }
  write_down();
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
    keep_locked(it->second);
  }
  write_down();
  if (listener_.mute_changed) listener_.mute_changed(id, muted);
  if (listener_.roster_changed) listener_.roster_changed();
  return true;
}

void ConferenceBook::set_all_muted(std::string_view conference, bool muted) {
  std::vector<std::string> affected;
  {
    const std::lock_guard lock(mutex_);
    conferences_[std::string(conference)].all_muted = muted;
    keep_all_muted_locked(std::string(conference), muted);
    for (const auto& [id, record] : participants_) {
      if (record.conference == conference && record.entry.role != Role::kChairperson) {
        affected.push_back(id);
      }
    }
  }
  write_down();
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

std::vector<ConferenceBook::Participant> ConferenceBook::participants(
    std::string_view conference) const {
  const std::lock_guard lock(mutex_);
  std::vector<Participant> out;
  for (const auto& [id, record] : participants_) {
    if (record.conference == conference) out.push_back(record);
  }
  return out;
}

bool ConferenceBook::all_muted(std::string_view conference) const {
  const std::lock_guard lock(mutex_);
  const auto it = conferences_.find(conference);
  return it != conferences_.end() && it->second.all_muted;
}

std::size_t ConferenceBook::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(participants_.begin(), participants_.end(),
                                                [](const auto& p) { return p.second.present; }));
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
