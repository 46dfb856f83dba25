// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libwebsockets.h>

#include <cstdint>
#include <optional>
#include <string>

#include "control/web/http.h"

namespace conclave::control::web {

/// The headers of the request that a connection has just read.
Request read_request(lws* wsi);
/// A header by its token, joined when it came in parts; too long ones are cut by libwebsockets.
std::string header(lws* wsi, lws_token_indexes token);
/// The peer's IP address without port or zone.
std::string peer_address(lws* wsi);

/// One HTTP request and its answer. Web thread.
class Exchange {
 public:
  explicit Exchange(std::uint64_t number) : id(number) {}

  /// Writes the head and asks for the writeable callback. False: close the connection.
  bool begin(lws* wsi, Response response, bool keep_open);
  /// Writeable callback: the next piece of the body. False: close the connection.
  bool proceed(lws* wsi);

  const std::uint64_t id;
  Request request;
  std::size_t expected = 0;  ///< bytes of body still to come
  std::optional<Response> ready;
  bool begun = false;
  bool handed = false;  ///< the handler has it

 private:
  Response response_;
  std::size_t sent_ = 0;
  bool keep_open_ = true;
};

}  // namespace conclave::control::web
