// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "media/turn/byte_stream.h"
#include "media/turn/stun_message.h"

namespace conclave::media::turn {

/// A TURN client's side of one stream: signs requests with the long-term credentials, learns realm
/// and nonce from the server and follows when they change, checks that answers come from who knows
/// the password. One thread.
class TurnSession {
 public:
  TurnSession(std::unique_ptr<ByteStream> stream, std::string username, std::string password);

  int fd() const { return stream_->fd(); }
  /// Sends and waits for the answer to it. Errors: none in time, stream gone, or refused; `code` is
  /// the server's then.
  Result<StunMessage> ask(StunMessage request, std::chrono::milliseconds timeout,
                          int* code = nullptr);

  /// Begins with the realm and nonce that another session has learnt: a data connection belongs to
  /// its control connection (RFC 6062, 4.3), and coturn closes one that asks for them anew.
  void begin_as(const TurnSession& other);
  /// Sends; the answer comes by receive(). False: the stream is gone.
  bool send(StunMessage request);
  /// A datagram for the peer of a channel. Left out when the stream is congested: late sound is
  /// worth nothing.
  bool send_channel(std::uint16_t channel, std::span<const std::uint8_t> payload);
  bool wants_write() const { return !out_.empty(); }
  bool flush();

  struct Sink {
    std::function<void(std::uint16_t channel, std::span<const std::uint8_t> payload)> data{};
    std::function<void(const StunMessage& answer)> answer{};  ///< success or error
  };
  /// Takes all that is there. False: the stream is gone or speaks no TURN.
  bool receive(const Sink& sink);

  /// After ConnectionBind was answered the stream is the peer's.
  std::unique_ptr<ByteStream> take_stream() { return std::move(stream_); }

 private:
  bool put(std::span<const std::uint8_t> bytes);
  /// True when the answer only asked for other credentials and the request went out anew.
  bool asked_again(const StunMessage& answer);
  void take_message(std::span<const std::uint8_t> bytes, const Sink& sink);

  std::unique_ptr<ByteStream> stream_;
  const std::string username_, password_;
  std::string realm_, nonce_;
  std::vector<std::uint8_t> key_;
  StreamSplitter splitter_;
  std::vector<std::uint8_t> out_;
  struct Pending {
    StunMessage request{};
    int attempts = 0;
  };
  std::vector<Pending> pending_;
};

/// ALLOCATE for a transport (17 UDP, 6 TCP); the relayed address and the lifetime in seconds.
struct Allocation {
  TransportAddress relayed{};
  std::uint32_t lifetime_s = 600;
};
Result<Allocation> allocate(TurnSession& session, std::uint8_t protocol, bool v6,
                            std::chrono::milliseconds timeout);
Result<StunMessage> new_request(Method method);

}  // namespace conclave::media::turn
