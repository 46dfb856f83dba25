// SPDX-License-Identifier: Apache-2.0
#include "control/web/exchange.h"

#include <algorithm>
#include <array>
#include <vector>

namespace conclave::control::web {

std::string header(lws* wsi, lws_token_indexes token) {
  const int length = lws_hdr_total_length(wsi, token);
  if (length <= 0) return {};
  std::string value(static_cast<std::size_t>(length) + 1, '\0');
  const int copied = lws_hdr_copy(wsi, value.data(), length + 1, token);
  value.resize(copied > 0 ? static_cast<std::size_t>(copied) : 0);
  return value;
}

namespace {

std::string custom_header(lws* wsi, const char* name, int name_length) {
  const int length = lws_hdr_custom_length(wsi, name, name_length);
  if (length <= 0 || length > 1024) return {};
  std::string value(static_cast<std::size_t>(length) + 1, '\0');
  const int copied = lws_hdr_custom_copy(wsi, value.data(), length + 1, name, name_length);
  value.resize(copied > 0 ? static_cast<std::size_t>(copied) : 0);
  return value;
}

}  // namespace

std::string peer_address(lws* wsi) {
  std::array<char, 64> text{};
  lws_get_peer_simple(wsi, text.data(), text.size());
  std::string address = text.data();
  constexpr std::string_view kMapped = "::ffff:";
  if (address.starts_with(kMapped)) address = address.substr(kMapped.size());
  return address.substr(0, address.find('%'));
}

Request read_request(lws* wsi) {
  Request request;
  if (std::string get = header(wsi, WSI_TOKEN_GET_URI); !get.empty()) {
    request.method = Method::kGet;
    request.path = std::move(get);
  } else if (std::string post = header(wsi, WSI_TOKEN_POST_URI); !post.empty()) {
    request.method = Method::kPost;
    request.path = std::move(post);
  } else if (std::string head = header(wsi, WSI_TOKEN_HEAD_URI); !head.empty()) {
    request.method = Method::kHead;
    request.path = std::move(head);
  }
  request.query = header(wsi, WSI_TOKEN_HTTP_URI_ARGS);
  request.host = header(wsi, WSI_TOKEN_HOST);
  request.origin = header(wsi, WSI_TOKEN_ORIGIN);
  request.cookie = header(wsi, WSI_TOKEN_HTTP_COOKIE);
  request.content_type = header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE);
  request.content_length = header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
  request.transfer_encoding = header(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING);
  request.authorization = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
  request.accept = header(wsi, WSI_TOKEN_HTTP_ACCEPT);
  request.accept_encoding = header(wsi, WSI_TOKEN_HTTP_ACCEPT_ENCODING);
  request.if_none_match = header(wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH);
  request.upgrade = header(wsi, WSI_TOKEN_UPGRADE);
  request.websocket_version = header(wsi, WSI_TOKEN_VERSION);
  request.websocket_protocol = header(wsi, WSI_TOKEN_PROTOCOL);
  request.fetch_site = custom_header(wsi, "sec-fetch-site:", 15);
  request.address = peer_address(wsi);
  return request;
}

bool Exchange::begin(lws* wsi, Response response, bool keep_open) {
  begun = true;
  keep_open_ = keep_open;
  response_ = std::move(response);
  const std::size_t length = response_.body->size();
  std::vector<unsigned char> buffer(LWS_PRE + 8192);
  unsigned char* const start = buffer.data() + LWS_PRE;
  unsigned char* at = start;
  unsigned char* const end = buffer.data() + buffer.size() - 1;
  bool ok = lws_add_http_header_status(wsi, static_cast<unsigned>(response_.status), &at, end) == 0;
  const auto add = [&](const std::string& name, const std::string& value) {
    const std::string field = name + ":";
    ok = ok &&
         lws_add_http_header_by_name(wsi, reinterpret_cast<const unsigned char*>(field.c_str()),
                                     reinterpret_cast<const unsigned char*>(value.c_str()),
                                     static_cast<int>(value.size()), &at, end) == 0;
  };
  if (response_.status != 304) {
    add("content-type", response_.content_type);
    ok = ok && lws_add_http_header_content_length(wsi, length, &at, end) == 0;
  }
  for (const auto& [name, value] : response_.headers) add(name, value);
  for (const auto& [name, value] : security_headers(request.host)) add(name, value);
  if (!keep_open_) add("connection", "close");
  if (!ok || lws_finalize_write_http_header(wsi, start, &at, end) != 0) return false;
  lws_callback_on_writable(wsi);
  return true;
}

bool Exchange::proceed(lws* wsi) {
  const bool bodiless = request.method == Method::kHead || response_.status == 304;
  const std::size_t length = bodiless ? 0 : response_.body->size();
  if (sent_ < length) {
    constexpr std::size_t kPiece = 16384;
    const std::size_t piece = std::min(kPiece, length - sent_);
    std::vector<unsigned char> buffer(LWS_PRE + piece);
    std::copy_n(response_.body->data() + sent_, piece, buffer.data() + LWS_PRE);
    const bool last = sent_ + piece == length;
    if (lws_write(wsi, buffer.data() + LWS_PRE, piece,
                  last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < 0) {
      return false;
    }
    sent_ += piece;
    if (!last) {
      lws_callback_on_writable(wsi);
      return true;
    }
  }
  return keep_open_ && lws_http_transaction_completed(wsi) == 0;
}

}  // namespace conclave::control::web
