// SPDX-License-Identifier: Apache-2.0
#include "media/turn/turn_session.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/clock.h"

namespace conclave::media::turn {
namespace {

constexpr std::size_t kMaxPending = 16;
constexpr std::size_t kCongested = 16 * 1024;  // about a third of a second of a call
constexpr int kAttempts = 3;
constexpr int kUnauthorized = 401;
constexpr int kStaleNonce = 438;

}  // namespace

TurnSession::TurnSession(std::unique_ptr<ByteStream> stream, std::string username,
                         std::string password)
    : stream_(std::move(stream)), username_(std::move(username)), password_(std::move(password)) {}

Result<StunMessage> new_request(Method method) {
  StunMessage out;
  out.method = method;
  CONCLAVE_TRY(out.transaction, new_transaction());
  return out;
}

void TurnSession::begin_as(const TurnSession& other) {
  realm_ = other.realm_;
  nonce_ = other.nonce_;
  key_ = other.key_;
}

bool TurnSession::put(std::span<const std::uint8_t> bytes) {
  if (out_.empty()) {
    const std::ptrdiff_t sent = stream_->send(bytes);
    if (sent < 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  out_.insert(out_.end(), bytes.begin(), bytes.end());
  return true;
}

bool TurnSession::flush() {
  if (out_.empty()) return true;
  const std::ptrdiff_t sent = stream_->send(out_);
  if (sent < 0) return false;
  out_.erase(out_.begin(), out_.begin() + sent);
  return true;
}

bool TurnSession::send(StunMessage request) {
  pending_.push_back({request, 0});
  if (pending_.size() > kMaxPending) pending_.erase(pending_.begin());
  if (!key_.empty()) {
    request.add_text(kUsername, username_);
    request.add_text(kRealm, realm_);
    request.add_text(kNonce, nonce_);
  }
  return put(build_stun(request, key_));
}

bool TurnSession::send_channel(std::uint16_t channel, std::span<const std::uint8_t> payload) {
  if (out_.size() > kCongested) return true;
  std::array<std::uint8_t, kMaxStunBytes + 8> bytes;
  const std::size_t size = write_channel_data(channel, payload, bytes);
  return size == 0 || put(std::span(bytes).first(size));
}

bool TurnSession::asked_again(const StunMessage& answer) {
  const auto it = std::find_if(pending_.begin(), pending_.end(), [&](const Pending& p) {
    return p.request.transaction == answer.transaction;
  });
  if (it == pending_.end()) return true;  // not ours: ignored
  Pending pending = std::move(*it);
  pending_.erase(it);
  const int code = answer.kind == Class::kError ? answer.error_code() : 0;
  const auto realm = answer.text(kRealm);
  const auto nonce = answer.text(kNonce);
  const bool other = (code == kUnauthorized && key_.empty()) || code == kStaleNonce;
  if (!other || !realm || !nonce || pending.attempts + 1 >= kAttempts) return false;
  realm_ = *realm;
  nonce_ = *nonce;
  key_ = long_term_key(username_, realm_, password_);
  const auto transaction = new_transaction();
  if (!transaction) return false;
  // Addresses are masked with the transaction id: masked anew with the new one.
  StunMessage again = pending.request;
  for (auto& item : again.items) {
    if (item.type != kXorPeerAddress) continue;
    const auto address = pending.request.address(item.type);
    StunMessage masked;
    masked.transaction = *transaction;
    if (address && masked.add_address(item.type, *address)) item = masked.items.front();
  }
  again.transaction = *transaction;
  const int attempts = pending.attempts + 1;
  if (!send(std::move(again))) return false;
  pending_.back().attempts = attempts;
  return true;
}

void TurnSession::take_message(std::span<const std::uint8_t> bytes, const Sink& sink) {
  const auto message = parse_stun(bytes);
  if (!message) return;
  if (message->kind != Class::kSuccess && message->kind != Class::kError) {
    if (sink.answer && message->kind == Class::kIndication) sink.answer(*message);
    return;
  }
  // Whoever does not know the password cannot say that something went well.
  if (message->kind == Class::kSuccess && !key_.empty() && !verify_integrity(bytes, key_)) return;
  if (!asked_again(*message) && sink.answer) sink.answer(*message);
}

bool TurnSession::receive(const Sink& sink) {
  for (int i = 0; i < 64; ++i) {
    const auto room = splitter_.room();
    if (room.empty()) return false;
    const std::ptrdiff_t got = stream_->receive(room);
    if (got < 0) return false;
    if (got == 0) return true;
    splitter_.grown(static_cast<std::size_t>(got));
    while (const auto unit = splitter_.next()) {
      if (unit->channel == 0) {
        take_message(unit->bytes, sink);
      } else if (sink.data) {
        sink.data(unit->channel, unit->bytes);
      }
    }
    if (splitter_.broken()) return false;
  }
  return true;
}

Result<StunMessage> TurnSession::ask(StunMessage request, std::chrono::milliseconds timeout,
                                     int* code) {
  const Method method = request.method;
  std::optional<StunMessage> answer;
  Sink sink;
  sink.answer = [&](const StunMessage& message) {
    if (message.method == method && message.kind != Class::kIndication) answer = message;
  };
  const std::int64_t until = SystemClock::now() + timeout.count() * 1'000'000;
  bool alive = send(std::move(request));
  while (alive && !answer) {
    const std::int64_t left = (until - SystemClock::now()) / 1'000'000;
    if (left <= 0) return Error{"the tunnel server does not answer"};
    pollfd fd{stream_->fd(), static_cast<short>(POLLIN | (wants_write() ? POLLOUT : 0)), 0};
    poll(&fd, 1, static_cast<int>(std::min<std::int64_t>(left, 1000)));
    alive = flush() && receive(sink);
  }
  if (!answer) return Error{"the tunnel server has closed the connection"};
  if (answer->kind == Class::kSuccess) return std::move(*answer);
  if (code != nullptr) *code = answer->error_code();
  return Error{"the tunnel server refused: " + std::to_string(answer->error_code())};
}

Result<Allocation> allocate(TurnSession& session, std::uint8_t protocol, bool v6,
                            std::chrono::milliseconds timeout) {
  CONCLAVE_TRY(auto request, new_request(Method::kAllocate));
  request.add(kRequestedTransport, std::array<std::uint8_t, 4>{protocol, 0, 0, 0});
  if (v6) request.add(kRequestedAddressFamily, std::array<std::uint8_t, 4>{2, 0, 0, 0});
  CONCLAVE_TRY(const auto answer, session.ask(std::move(request), timeout));
  const auto relayed = answer.address(kXorRelayedAddress);
  if (!relayed) return Error{"the tunnel server gave no address"};
  Allocation out;
  out.relayed = *relayed;
  out.lifetime_s = std::clamp<std::uint32_t>(answer.number(kLifetime).value_or(600), 10, 3600);
  return out;
}

}  // namespace conclave::media::turn
