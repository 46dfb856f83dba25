// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "bench/room/scene.h"

namespace conclave::bench::room {

struct ServerConfig {
  Scene scene;
  std::string directory;       ///< made when missing; everything below is put there
  std::string control_socket;  ///< empty: DIRECTORY/control.sock
  std::string plugin;          ///< libasound_module_pcm_room.so, absolute
  bool virtual_time = false;   ///< as fast as the clients read and write
  bool real_time_priority = true;
};

/// The virtual room as a process: sound cards for ALSA programs, driven by CLOCK_MONOTONIC or, in
/// virtual time, by the clients.
///
/// In its directory: `asound.conf` (set ALSA_CONFIG_PATH to it; PCMs conclave_ring, conclave_sat1,
/// ...), `profile.json` for the phone, `scene.json`, `mouth_<id>.wav` (a talker's dry loop) and
/// `room.json`, which is written last, when the room runs: start time of the room and of the loops
/// (CLOCK_MONOTONIC, ns), the converters' delays, names of all files and sockets. `truth.jsonl`
/// gets a line at each change of who speaks and each second.
///
/// The control socket takes one command a line and answers one JSON line each:
///   status | unplug CARD | plug CARD | stall CARD MS | xrun CARD | ppm CARD VALUE | noise DBFS |
///   talker ID on|off | move ID X Y Z | quit           (CARD: ring, sat1, ...)
class RoomServer {
 public:
  /// Renders the room (about a second) and opens the sockets.
  static Result<std::unique_ptr<RoomServer>> create(const ServerConfig& config);
  ~RoomServer();
  RoomServer(const RoomServer&) = delete;
  RoomServer& operator=(const RoomServer&) = delete;

  /// Runs until stop() or the command `quit`.
  Status run();
  /// Any thread, and signal handlers.
  void stop() noexcept;

  /// The content of room.json, for the ready line.
  std::string description() const;
  /// What a control command answers: one JSON line without its end. The thread of run(), or before
  /// run().
  std::string command(const std::string& line);

 private:
  class Impl;
  explicit RoomServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave::bench::room
