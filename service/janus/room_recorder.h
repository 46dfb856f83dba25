// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace conclave::service {

/// What recordings are called while the mixer writes them: PART_FOLDER/NAME.wav and behind it
/// kWritingSuffix, which the mixer takes away when it has closed the file.
inline constexpr const char* kWritingSuffix = ".writing";

/// Completes a 16-bit WAV that its writer may have left in the middle (its header then tells a
/// length from before), makes it durable and gives it its final name, at once or not at all. A file
/// without sound is removed; false then. Errors name the file.
Result<bool> finish_recording(const std::string& part, const std::string& final_name);

/// Finishes what a service that ended in mid-recording left in FOLDER/.parts. How many there were.
int finish_left_recordings(const std::string& folder);

/// Which rooms are to be recorded, and how far the mixer is with it. A recording is one file
/// FOLDER/ROOM-YYYYMMDDTHHMMSSZ.wav (mode 0600), and a further one when the mixer died meanwhile;
/// it gets this name only when it is whole. The bridge's thread alone.
class RoomRecorder {
 public:
  struct Listener {
    /// Recording began or ended. `error` (of the catalogue) when it could not be had.
    std::function<void(const std::string& room, bool recording, const Status& status)> changed{};
  };
  /// Sends a request to the mixer: true when it was taken.
  using Ask = std::function<bool(const nlohmann::json& body)>;
  /// An empty folder: there is no recording.
  RoomRecorder(std::string folder, Listener listener);

  void want(const std::string& room, bool recording);
  /// `exists`: whether the mixer has this room.
  void reconcile(const std::function<bool(const std::string& room)>& exists, const Ask& ask,
                 std::int64_t now_ns);
  /// The room is about to go, with what is recorded of it.
  void closing(const std::string& room, const Ask& ask, std::int64_t now_ns);
  /// The mixer died; its files are what there is.
  void lost();
  /// When to reconcile next: now_ns or later; far away when nothing is pending.
  std::int64_t next_due_ns(std::int64_t now_ns) const;

 private:
  struct Recording {
    bool wanted = false;
    enum class State { kOff, kOpening, kOn, kClosing } state = State::kOff;
    std::string name{};
    std::int64_t deadline_ns = 0;
  };
  void begin(const std::string& room, Recording& r, const Ask& ask, std::int64_t now_ns);
  void stop(const std::string& room, Recording& r, const Ask& ask, std::int64_t now_ns);
  void finish(const std::string& room, Recording& r);
  void failed(const std::string& room, Recording& r, const std::string& why);
  std::string part(const std::string& name) const;

  const std::string folder_;
  const Listener listener_;
  std::map<std::string, Recording> rooms_;
};

}  // namespace conclave::service
