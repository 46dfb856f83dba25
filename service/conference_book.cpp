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
  // Who is called from here cannot come back by himself after a restart.
  if (store_ == nullptr || record.called()) return;
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
  if (full_locked(conference)) return std::nullopt;
  Record record;
  record.conference = conference;
  record.session = session;
  record.serial = serial;
  record.entry.name = name;
  record.entry.role = role;
  record.may_unmute = may_unmute;
  const Participant out = add_locked(std::move(record));
  lock.unlock();
  write_down();
  return out;
}

bool ConferenceBook::full_locked(std::string_view conference) const {
  const auto count = std::count_if(participants_.begin(), participants_.end(), [&](const auto& p) {
    return p.second.conference == conference;
  });
  return static_cast<std::size_t>(count) >= kMaxParticipants;
}

ConferenceBook::Participant ConferenceBook::add_locked(Record record) {
  record.id = "p" + random_hex(8);
  record.since_ns = clock_.now_ns();
  // "Mute all" is a property of the conference: who comes later is muted too.
  const auto& state = conferences_[record.conference];
  record.entry.muted = state.all_muted && record.entry.role != Role::kChairperson &&
                       record.entry.kind != protocol::Kind::kOperator;
  const Participant out = record;
  keep_locked(record);
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

std::vector<std::string> ConferenceBook::of_serial(std::string_view serial) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, record] : participants_) {
    if (record.serial == serial) ids.push_back(id);
  }
  return ids;
}

std::optional<ConferenceBook::Participant> ConferenceBook::call(std::string_view conference,
                                                                std::string_view name,
                                                                protocol::Kind kind) {
  std::optional<Participant> out;
  {
    const std::lock_guard lock(mutex_);
    if (full_locked(conference)) return std::nullopt;
    Record record;
    record.conference = conference;
    record.entry.name = name;
    record.entry.kind = kind;
    record.entry.progress = protocol::Progress::kDialing;
    record.present = true;
    out = add_locked(std::move(record));
    ++conferences_[std::string(conference)].revision;
  }
  if (listener_.roster_changed) listener_.roster_changed();
  return out;
}

bool ConferenceBook::set_progress(std::string_view participant, protocol::Progress progress,
                                  std::string_view error) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = participants_.find(participant);
    if (it == participants_.end()) return false;
    Record& record = it->second;
    if (record.entry.progress == progress && record.entry.error == error) return true;
    record.entry.progress = progress;
    record.entry.error = error;
    record.since_ns = clock_.now_ns();
    changed_locked(record);
  }
  if (listener_.roster_changed) listener_.roster_changed();
  return true;
}

bool ConferenceBook::set_operator_asked(std::string_view participant, bool asked) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = participants_.find(participant);
    if (it == participants_.end()) return false;
    if (it->second.entry.operator_asked == asked) return true;
    it->second.entry.operator_asked = asked;
    changed_locked(it->second);
  }
  if (listener_.roster_changed) listener_.roster_changed();
  return true;
}

void ConferenceBook::operator_arrived(std::string_view conference) {
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, record] : participants_) {
      if (record.conference != conference || !record.entry.operator_asked) continue;
      record.entry.operator_asked = false;
      changed_locked(record);
    }
  }
  if (listener_.roster_changed) listener_.roster_changed();
}

std::vector<ConferenceBook::Participant> ConferenceBook::operator_asked() const {
  const std::lock_guard lock(mutex_);
  std::vector<Participant> out;
  for (const auto& [id, record] : participants_) {
    if (record.entry.operator_asked) out.push_back(record);
  }
  return out;
}

bool ConferenceBook::has_operator(std::string_view conference) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(participants_.begin(), participants_.end(), [&](const auto& item) {
    const Record& record = item.second;
    return record.conference == conference && record.entry.kind == protocol::Kind::kOperator &&
           record.entry.progress != protocol::Progress::kFailed;
  });
}

void ConferenceBook::set_recording(std::string_view conference, bool recording,
                                   std::int64_t since_ms, bool failed) {
  {
    const std::lock_guard lock(mutex_);
    auto& state = conferences_[std::string(conference)];
    state.recording_failed = failed;
    if (state.recording != recording) {
      state.recording = recording;
      state.recording_since_ms = since_ms;
      ++state.revision;
    }
  }
  // Also without a change: somebody may wait for the outcome.
  if (listener_.roster_changed) listener_.roster_changed();
}

ConferenceBook::RecordingState ConferenceBook::recording(std::string_view conference) const {
  const std::lock_guard lock(mutex_);
  const auto it = conferences_.find(conference);
  if (it == conferences_.end()) return {};
  return {it->second.recording, it->second.recording_failed};
}

bool ConferenceBook::arrived(std::string_view participant) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = participants_.find(participant);
    if (it == participants_.end()) return false;
    auto& record = it->second;
    if (record.present && record.entry.progress == protocol::Progress::kConnected) return true;
    record.present = true;
    record.entry.progress = protocol::Progress::kConnected;
    record.entry.error.clear();
    changed_locked(record);
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
  std::string emptied;
  std::vector<std::string> alone;
  {
    const std::lock_guard lock(mutex_);
    const auto it = participants_.find(participant);
    if (it == participants_.end()) return false;
    changed_locked(it->second);
    const std::string conference = it->second.conference;
    participants_.erase(it);
    forget_locked(id);
    bool joined = false;
    for (const auto& [other, record] : participants_) {
      if (record.conference != conference) continue;
      joined = joined || !record.called();
      alone.push_back(other);
    }
    // Nobody pays for a call out that goes on when those who asked for it have left.
    if (joined) alone.clear();
    if (!joined && alone.empty()) {
      auto& state = conferences_[conference];
      if (state.all_muted) keep_all_muted_locked(conference, false);
      if (state.all_muted || state.recording) ++state.revision;
      state.all_muted = state.recording = false;
      emptied = conference;
    }
  }
  write_down();
  if (listener_.removed) listener_.removed(id);
  for (const auto& other : alone) remove(other);
  if (!emptied.empty() && listener_.emptied) listener_.emptied(emptied);
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
    auto& state = conferences_[std::string(conference)];
    if (state.all_muted != muted) ++state.revision;
    state.all_muted = muted;
    keep_all_muted_locked(std::string(conference), muted);
    for (const auto& [id, record] : participants_) {
      if (record.conference == conference && record.entry.role != Role::kChairperson &&
          record.entry.kind != protocol::Kind::kOperator) {
        affected.push_back(id);
      }
    }
  }
  write_down();
  if (listener_.roster_changed) listener_.roster_changed();
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
      if (record.entry.progress == protocol::Progress::kFailed &&
          now - record.since_ns > std::int64_t{kFailedSeconds} * 1'000'000'000) {
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
  if (it != conferences_.end()) {
    out.all_muted = it->second.all_muted;
    out.recording = it->second.recording;
    out.recording_since_ms = it->second.recording_since_ms;
  }
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
