// SPDX-License-Identifier: Apache-2.0
#include "control/web/frame_guard.h"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "base/log.h"

namespace conclave::control::web {
namespace {

struct Watch {
  std::string tail;  ///< the last bytes read, to know whether the request's head ended there
  bool websocket = false;
  bool broken = false;
  FrameParser parser;
};

void free_watch(void*, void* data, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<Watch*>(data);
}

int watch_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_watch);
  return index;
}

Watch* watch_of(SSL* ssl) {
  auto* watch = static_cast<Watch*>(SSL_get_ex_data(ssl, watch_index()));
  if (watch == nullptr) {
    watch = new Watch;
    SSL_set_ex_data(ssl, watch_index(), watch);
  }
  return watch;
}

/// What came in; false when the connection is to look broken.
bool accept_bytes(SSL* ssl, std::string_view bytes) {
  Watch& watch = *watch_of(ssl);
  if (watch.broken) return false;
  if (!watch.websocket) {
    watch.tail.append(bytes.substr(bytes.size() - std::min<std::size_t>(bytes.size(), 4)));
    if (watch.tail.size() > 4) watch.tail.erase(0, watch.tail.size() - 4);
    return true;
  }
  if (watch.parser.take(bytes)) return true;
  watch.broken = true;
  log::warning("web", "a WebSocket client broke the protocol");
  return false;
}

}  // namespace

bool FrameParser::take(std::string_view bytes) {
  while (!bytes.empty()) {
    if (in_payload_) {
      const std::uint64_t skip = std::min<std::uint64_t>(left_, bytes.size());
      bytes.remove_prefix(static_cast<std::size_t>(skip));
      left_ -= skip;
      in_payload_ = left_ > 0;
      continue;
    }
    head_[have_++] = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (have_ == 2) {
      const unsigned length = head_[1] & 0x7fU;
      need_ = 2U + 4U + (length == 126 ? 2U : length == 127 ? 8U : 0U);
      const bool masked = (head_[1] & 0x80U) != 0;
      const unsigned opcode = head_[0] & 0x0fU;
      const bool control = opcode >= 8;
      const bool known = opcode <= 2 || (opcode >= 8 && opcode <= 10);
      if (!masked || (head_[0] & 0x70U) != 0 || !known) return false;
      if (control && (length > 125 || (head_[0] & 0x80U) == 0)) return false;
    }
    if (have_ == need_ && have_ > 2 && !head_done()) return false;
  }
  return true;
}

bool FrameParser::head_done() {
  const unsigned length = head_[1] & 0x7fU;
  left_ = length;
  if (length >= 126) {
    left_ = 0;
    for (std::size_t i = 2; i < need_ - 4; ++i) left_ = left_ << 8 | head_[i];
    if (left_ < (length == 126 ? 126U : 65536U) || left_ > kMaxFrame) return false;
  }
  have_ = 0;
  need_ = 2;
  in_payload_ = left_ > 0;
  return true;
}

bool guard_frames(SSL* ssl) {
  Watch& watch = *watch_of(ssl);
  watch.websocket = true;
  watch.broken = watch.tail != "\r\n\r\n";
  return !watch.broken;
}

}  // namespace conclave::control::web

// The shared libraries of this program find this one before OpenSSL's.
extern "C" int SSL_read(SSL* ssl, void* buffer, int size) {
  using Read = int (*)(SSL*, void*, int);
  static const auto real = reinterpret_cast<Read>(dlsym(RTLD_NEXT, "SSL_read"));
  const int n = real(ssl, buffer, size);
  if (n <= 0 || SSL_is_server(ssl) == 0) return n;
  const std::string_view bytes(static_cast<const char*>(buffer), static_cast<std::size_t>(n));
  if (conclave::control::web::accept_bytes(ssl, bytes)) return n;
  // To the caller this is a peer that has gone.
  SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
  return 0;
}
