// SPDX-License-Identifier: Apache-2.0
#include "service/janus/room_recorder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "base/log.h"

namespace conclave::service {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLog = "service.recording";
constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kPatience = 2000 * kMs;  // for the mixer to open or close a file
constexpr std::int64_t kLook = 20 * kMs;
constexpr std::int64_t kNever = 3'600'000 * kMs;
constexpr off_t kHeader = 44;
constexpr std::size_t kLongestPath = 240;  // the mixer cuts off what is longer

Error failure(const std::string& what, const std::string& path) {
  return Error{"Cannot " + what + " " + path + ": " + std::strerror(errno)};
}

void sync_folder(const std::string& file) {
  const std::string folder = fs::path(file).parent_path().string();
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

/// Lengths as they are; leaves alone what has no header of the plain form.
bool repair_header(int fd, off_t size) {
  std::array<char, kHeader> header{};
  if (pread(fd, header.data(), header.size(), 0) != static_cast<ssize_t>(header.size()) ||
      std::memcmp(header.data(), "RIFF", 4) != 0 ||
      std::memcmp(header.data() + 36, "data", 4) != 0) {
    return false;
  }
  const auto put = [fd](off_t at, off_t value) {
    const auto v = static_cast<std::uint32_t>(std::min<off_t>(value, 0xffffffffLL));
    const std::array<std::uint8_t, 4> bytes{
        static_cast<std::uint8_t>(v), static_cast<std::uint8_t>(v >> 8),
        static_cast<std::uint8_t>(v >> 16), static_cast<std::uint8_t>(v >> 24)};
    return pwrite(fd, bytes.data(), bytes.size(), at) == static_cast<ssize_t>(bytes.size());
  };
  return put(4, size - 8) && put(40, size - kHeader);
}

std::string stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc);
  return {text.data(), size};
}

}  // namespace

Result<bool> finish_recording(const std::string& part, const std::string& final_name) {
  const int fd = open(part.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return failure("open", part);
  struct stat about {};
  const bool whole = fstat(fd, &about) == 0 && about.st_size > kHeader;
  const bool ok =
      whole && repair_header(fd, about.st_size) && fchmod(fd, 0600) == 0 && fsync(fd) == 0;
  const Error why = failure("complete", part);
  close(fd);
  if (!whole) {
    unlink(part.c_str());
    return false;
  }
  if (!ok) return why;
  // Never over another recording.
  if (link(part.c_str(), final_name.c_str()) != 0) return failure("write", final_name);
  unlink(part.c_str());
  sync_folder(final_name);
  return true;
}

int finish_left_recordings(const std::string& folder) {
  int count = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder + "/.parts", none)) {
    std::string name = entry.path().filename().string();
    const std::string suffix = kWritingSuffix;
    if (name.size() > suffix.size() &&
        name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0) {
      name.resize(name.size() - suffix.size());
    }
    const auto finished = finish_recording(entry.path().string(), folder + "/" + name);
    if (!finished) log::error(kLog, finished.error().message);
    if (finished && *finished) ++count;
  }
  return count;
}

RoomRecorder::RoomRecorder(std::string folder, Listener listener)
    : folder_(std::move(folder)), listener_(std::move(listener)) {}

std::string RoomRecorder::part(const std::string& name) const {
  return folder_ + "/.parts/" + name;
}

void RoomRecorder::want(const std::string& room, bool recording) {
  const auto it = rooms_.find(room);
  if (it == rooms_.end() && !recording) return;
  Recording& r = rooms_[room];
  if (r.wanted == recording) return;
  r.wanted = recording;
  r.deadline_ns = 0;
}

void RoomRecorder::failed(const std::string& room, Recording& r, const std::string& why) {
  log::error(kLog, "recording failed", {{"room", room}, {"why", why}});
  r.wanted = false;
  r.state = Recording::State::kOff;
  if (listener_.changed) listener_.changed(room, false, Error{why, "CC-RECORD"});
}

void RoomRecorder::begin(const std::string& room, Recording& r, const Ask& ask,
                         std::int64_t now_ns) {
  std::error_code error;
  fs::create_directories(folder_ + "/.parts", error);
  if (!error) fs::permissions(folder_, fs::perms::owner_all, error);
  if (folder_.empty() || error) {
    return failed(room, r, "there is no folder for recordings: " + error.message());
  }
  const std::string stem = room + "-" + stamp();
  r.name = stem + ".wav";
  for (int i = 2; fs::exists(folder_ + "/" + r.name, error) || fs::exists(part(r.name), error) ||
                  fs::exists(part(r.name) + kWritingSuffix, error);
       ++i) {
    r.name = stem + "-" + std::to_string(i) + ".wav";
  }
  if (part(r.name).size() > kLongestPath) {
    return failed(room, r, "the data folder's path is too long for the mixer");
  }
  if (!ask({{"request", "enable_recording"},
            {"room", room},
            {"record", true},
            {"record_file", part(r.name)}})) {
    return failed(room, r, "the mixer refused");
  }
  r.state = Recording::State::kOpening;
  r.deadline_ns = now_ns + kPatience;
}

void RoomRecorder::stop(const std::string& room, Recording& r, const Ask& ask,
                        std::int64_t now_ns) {
  // When it does not take it, the file is finished from what is there.
  if (!ask({{"request", "enable_recording"}, {"room", room}, {"record", false}})) {
    log::warning(kLog, "the mixer did not stop recording", {{"room", room}});
  }
  r.state = Recording::State::kClosing;
  r.deadline_ns = now_ns + kPatience;
}

void RoomRecorder::finish(const std::string& room, Recording& r) {
  std::error_code error;
  std::string file = part(r.name);
  if (!fs::exists(file, error)) file += kWritingSuffix;
  r.state = Recording::State::kOff;
  if (!fs::exists(file, error)) return;
  const auto finished = finish_recording(file, folder_ + "/" + r.name);
  if (!finished) return log::error(kLog, finished.error().message, {{"room", room}});
  if (*finished) log::info(kLog, "recording finished", {{"room", room}, {"file", r.name}});
}

void RoomRecorder::reconcile(const std::function<bool(const std::string&)>& exists, const Ask& ask,
                             std::int64_t now_ns) {
  using State = Recording::State;
  std::error_code error;
  for (auto it = rooms_.begin(); it != rooms_.end();) {
    const std::string room = it->first;
    Recording& r = it->second;
    switch (r.state) {
      case State::kOff:
        if (!r.wanted) {
          it = rooms_.erase(it);
          continue;
        }
        if (r.deadline_ns == 0) r.deadline_ns = now_ns + kPatience;
        if (exists(room)) {
          begin(room, r, ask, now_ns);
        } else if (now_ns >= r.deadline_ns) {
          failed(room, r, "the conference is not in the mixer");
        }
        break;
      case State::kOpening:
        if (fs::exists(part(r.name) + kWritingSuffix, error)) {
          r.state = State::kOn;
          log::info(kLog, "recording", {{"room", room}, {"file", r.name}});
          if (listener_.changed) listener_.changed(room, true, {});
        } else if (now_ns >= r.deadline_ns) {
          stop(room, r, ask, now_ns);
          failed(room, r, "the mixer opened no file");
        }
        break;
      case State::kOn:
        if (!r.wanted) stop(room, r, ask, now_ns);
        break;
      case State::kClosing:
        if (fs::exists(part(r.name), error) || now_ns >= r.deadline_ns) {
          finish(room, r);
          if (!r.wanted && listener_.changed) listener_.changed(room, false, {});
        }
        break;
    }
    ++it;
  }
}

void RoomRecorder::closing(const std::string& room, const Ask& ask, std::int64_t now_ns) {
  const auto it = rooms_.find(room);
  if (it == rooms_.end()) return;
  it->second.wanted = false;
  if (it->second.state == Recording::State::kOn || it->second.state == Recording::State::kOpening) {
    stop(room, it->second, ask, now_ns);
  }
}

void RoomRecorder::lost() {
  for (auto& [room, r] : rooms_) {
    if (r.state != Recording::State::kOff) {
      finish(room, r);
      if (!r.wanted && listener_.changed) listener_.changed(room, false, {});
    }
    r.deadline_ns = 0;
  }
}

std::int64_t RoomRecorder::next_due_ns(std::int64_t now_ns) const {
  using State = Recording::State;
  const bool pending = std::any_of(rooms_.begin(), rooms_.end(), [](const auto& item) {
    return item.second.state != State::kOn || !item.second.wanted;
  });
  return now_ns + (pending ? kLook : kNever);
}

}  // namespace conclave::service
