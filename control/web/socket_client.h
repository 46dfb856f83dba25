// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libwebsockets.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "control/state/state_tree.h"
#include "control/web/server.h"

namespace conclave::control::web {

/// One open WebSocket. Web thread.
class SocketClient {
 public:
  SocketClient(std::uint64_t number, lws* wsi, const StateTree& tree, std::string session,
               std::string address)
      : id(number),
        wsi_(wsi),
        follower_(tree),
        session_(std::move(session)),
        address_(std::move(address)) {}

  enum class Received {
    kMore,     ///< fragment; nothing to do
    kMessage,  ///< take_message() has it
    kClose,    ///< against the rules; the close reason is set
  };
  Received receive(const void* data, std::size_t length, const ServerConfig& config);
  std::string take_message() { return std::move(partial_); }

  /// An answer to send; empty for none.
  void answer(std::string text);
  void count_request(const ServerConfig& config);
  void offer_meters(std::shared_ptr<const std::string> frame);
  /// Asks for the writeable callback when there is something to say.
  void wake_if_behind();
  /// Writeable callback: exactly one message. False: close.
  bool write_one();
  StateFollower& follower() { return follower_; }
  const std::string& session() const { return session_; }
  const std::string& address() const { return address_; }
  /// Close with a reason at the next chance.
  void end(std::uint16_t code, std::string reason);

  const std::uint64_t id;

 private:
  bool write(const std::string& text, lws_write_protocol kind);

  lws* wsi_;
  StateFollower follower_;
  std::string session_, address_;
  std::string partial_;
  std::deque<std::string> answers_;
  std::shared_ptr<const std::string> meters_;
  int in_flight_ = 0;
  bool held_ = false;  // reading is paused until answers are out
  std::uint16_t close_code_ = 0;
  std::string close_reason_;
};

}  // namespace conclave::control::web
