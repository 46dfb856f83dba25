// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bench/room/room_engine.h"

namespace conclave::bench::room {

/// The verbs of the control socket (see RoomServer).
class RoomControl {
 public:
  explicit RoomControl(RoomEngine& engine) : engine_(engine) {}
  /// One command, one JSON line.
  std::string answer(const std::string& line);
  bool quit_asked() const { return quit_; }

 private:
  RoomEngine& engine_;
  bool quit_ = false;
};

}  // namespace conclave::bench::room
