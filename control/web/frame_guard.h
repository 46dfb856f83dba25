// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

typedef struct ssl_st SSL;

namespace conclave::control::web {

/// Follows the frames of a WebSocket client byte by byte and says when one breaks RFC 6455: not
/// masked, reserved bits or opcode, a control frame that is long or in pieces, a length that is not
/// the shortest or above `kMaxFrame`.
class FrameParser {
 public:
  static constexpr std::uint64_t kMaxFrame = 1 << 20;
  /// False: the client breaks the rules; the state is then of no more use.
  bool take(std::string_view bytes);

 private:
  bool head_done();
  unsigned char head_[14]{};
  std::size_t have_ = 0;    // bytes of the head so far
  std::size_t need_ = 2;    // bytes of the head in all, as far as known
  std::uint64_t left_ = 0;  // payload still to come
  bool in_payload_ = false;
};

/// libwebsockets 4.1.6 takes unmasked frames and shows nobody whether a frame was masked. So the
/// program's own SSL_read stands in front of OpenSSL's: for TLS servers it looks at what was
/// decrypted, and for connections marked here a broken rule reads as a broken connection.
///
/// Marks a connection as a WebSocket from now on. False when bytes have already come behind the
/// request's head: no client may send before it has the answer. Web thread.
bool guard_frames(SSL* ssl);

}  // namespace conclave::control::web
