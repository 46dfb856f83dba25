// SPDX-License-Identifier: Apache-2.0
#include "control/web/socket_client.h"

#include <algorithm>
#include <vector>

#include "control/rpc/dispatcher.h"

namespace conclave::control::web {

void SocketClient::end(std::uint16_t code, std::string reason) {
  close_code_ = code;
  close_reason_ = std::move(reason);
  lws_callback_on_writable(wsi_);
}

SocketClient::Received SocketClient::receive(const void* data, std::size_t length,
                                             const ServerConfig& config) {
  const auto refuse = [this](lws_close_status code, std::string reason) {
    lws_close_reason(wsi_, code, reinterpret_cast<unsigned char*>(reason.data()), reason.size());
    return Received::kClose;
  };
  // No extension is ever agreed, so the reserved bits mean nothing.
  if (lws_get_reserved_bits(wsi_) != 0) {
    return refuse(LWS_CLOSE_STATUS_PROTOCOL_ERR, "reserved bits");
  }
  if (lws_frame_is_binary(wsi_) != 0) {
    return refuse(LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, "text only");
  }
  if (lws_is_first_fragment(wsi_) != 0) partial_.clear();
  if (partial_.size() + length > config.max_message) {
    return refuse(LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "too long");
  }
  partial_.append(static_cast<const char*>(data), length);
  return lws_is_final_fragment(wsi_) != 0 && lws_remaining_packet_payload(wsi_) == 0
             ? Received::kMessage
             : Received::kMore;
}

void SocketClient::count_request(const ServerConfig& config) {
  if (++in_flight_ >= config.max_in_flight && !held_) {
    held_ = true;
    lws_rx_flow_control(wsi_, 0);
  }
}

void SocketClient::answer(std::string text) {
  if (text.empty()) {
    --in_flight_;
  } else {
    answers_.push_back(std::move(text));
  }
  lws_callback_on_writable(wsi_);
}

void SocketClient::offer_meters(std::shared_ptr<const std::string> frame) {
  meters_ = std::move(frame);
  lws_callback_on_writable(wsi_);
}

void SocketClient::wake_if_behind() {
  if (follower_.behind()) lws_callback_on_writable(wsi_);
}

bool SocketClient::write(const std::string& text, lws_write_protocol kind) {
  std::vector<unsigned char> buffer(LWS_PRE + text.size());
  std::copy(text.begin(), text.end(), buffer.begin() + LWS_PRE);
  return lws_write(wsi_, buffer.data() + LWS_PRE, text.size(), kind) >=
         static_cast<int>(text.size());
}

bool SocketClient::write_one() {
  if (close_code_ != 0) {
    lws_close_reason(wsi_, static_cast<lws_close_status>(close_code_),
                     reinterpret_cast<unsigned char*>(close_reason_.data()), close_reason_.size());
    return false;
  }
  bool ok = true;
  if (!answers_.empty()) {
    ok = write(answers_.front(), LWS_WRITE_TEXT);
    answers_.pop_front();
    --in_flight_;
  } else if (const nlohmann::json note = follower_.next(); !note.is_null()) {
    ok = write(dump_json(note), LWS_WRITE_TEXT);
  } else if (meters_) {
    ok = write(*meters_, LWS_WRITE_BINARY);
    meters_.reset();
  }
  if (held_ && in_flight_ == 0) {
    held_ = false;
    lws_rx_flow_control(wsi_, 1);
  }
  if (!answers_.empty() || meters_ || follower_.behind()) lws_callback_on_writable(wsi_);
  return ok;
}

}  // namespace conclave::control::web
