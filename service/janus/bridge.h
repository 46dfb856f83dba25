// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace conclave::service {

struct BridgeConfig {
  std::string folder;  ///< ours alone; Janus' configuration and log go there
  /// Packets of 20 ms that the mixer holds back for each participant: 1 costs least (11-15 ms
  /// through the mixer); more tolerate more jitter. 1..10.
  int prebuffer = 1;
  std::string recordings{};  ///< folder, absolute; empty: no recording
  /// A room is recorded from now on, or not any more; with why, when it could not be had. On the
  /// bridge's thread; must not block.
  std::function<void(const std::string& room, bool recording, const Status& status)> recorded{};
};

struct BridgeStatus {
  bool running = false;
  int pid = -1;
  int restarts = 0;
  int joined = 0;  ///< participants in the mix
};

/// The conference mixer: a supervised Janus with its AudioBridge plugin.
///
/// What ought to be (participants and their rooms) is told by add and remove; muting happens in the
/// relay, before the mixer. A thread of its own makes Janus so, and makes it so again after Janus
/// has died or hangs: restart at once, then with growing pauses, rooms made anew, everybody joined
/// again. A room lives as long as it has participants. All functions return at once; any thread.
class Bridge {
 public:
  /// `port`: where on 127.0.0.1 the participant's RTP goes to; 0: nowhere at the moment. Called on
  /// the bridge's thread; must not block.
  using Handler = std::function<void(const std::string& participant, std::uint16_t port)>;
  static constexpr std::uint8_t kPayloadType = 111;  ///< Opus, both ways

  virtual ~Bridge() = default;  ///< ends Janus

  /// Starts Janus and waits until it answers. An error says what is missing.
  static Result<std::unique_ptr<Bridge>> start(const BridgeConfig& config, Handler handler);

  /// The mix for this participant comes to 127.0.0.1:`local_port`, once Janus has had two packets
  /// from there: nobody is in its mix, nor gets it, before.
  virtual void add(const std::string& participant, const std::string& room,
                   std::uint16_t local_port) = 0;
  virtual void remove(const std::string& participant) = 0;
  /// Records a room's mix as 16-bit WAV until told otherwise or until the room is empty; the
  /// outcome is told by BridgeConfig::recorded, the file appears when it is whole. Goes on in a
  /// further file when Janus has died.
  virtual void record(const std::string& room, bool recording) = 0;
  virtual BridgeStatus status() const = 0;
};

}  // namespace conclave::service
