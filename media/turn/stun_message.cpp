// SPDX-License-Identifier: Apache-2.0
#include "media/turn/stun_message.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

namespace conclave::media::turn {
namespace {

constexpr std::size_t kIntegrityBytes = 20;
constexpr std::uint32_t kFingerprintXor = 0x5354554E;

std::uint16_t read16(std::span<const std::uint8_t> b, std::size_t at) {
  return static_cast<std::uint16_t>(b[at] << 8 | b[at + 1]);
}
std::uint32_t read32(std::span<const std::uint8_t> b, std::size_t at) {
  return std::uint32_t{read16(b, at)} << 16 | read16(b, at + 2);
}
void put16(std::vector<std::uint8_t>& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}
void put32(std::vector<std::uint8_t>& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}
void set_length(std::vector<std::uint8_t>& out, std::size_t length) {
  out[2] = static_cast<std::uint8_t>(length >> 8);
  out[3] = static_cast<std::uint8_t>(length);
}

/// Class and method are interleaved (RFC 8489, 5).
std::uint16_t type_of(Method method, Class kind) {
  const auto m = static_cast<unsigned>(method);
  const auto c = static_cast<unsigned>(kind);
  return static_cast<std::uint16_t>((m & 0x00f) | (c & 1) << 4 | (m & 0x070) << 1 | (c & 2) << 7 |
                                    (m & 0xf80) << 2);
}

std::uint32_t fingerprint(std::span<const std::uint8_t> bytes) {
  return static_cast<std::uint32_t>(crc32(0, bytes.data(), static_cast<uInt>(bytes.size()))) ^
         kFingerprintXor;
}

std::array<std::uint8_t, kIntegrityBytes> hmac(std::span<const std::uint8_t> bytes,
                                               std::span<const std::uint8_t> key) {
  std::array<std::uint8_t, kIntegrityBytes> out{};
  unsigned size = 0;
  HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), bytes.data(), bytes.size(), out.data(),
       &size);
  return out;
}

/// XOR of address and port with cookie and transaction, in place: the same both ways.
void mask(std::span<std::uint8_t> value, const TransactionId& transaction) {
  std::array<std::uint8_t, 16> pad{0x21, 0x12, 0xA4, 0x42};
  std::copy(transaction.begin(), transaction.end(), pad.begin() + 4);
  value[2] ^= pad[0];
  value[3] ^= pad[1];
  for (std::size_t i = 4; i < value.size(); ++i) value[i] ^= pad[i - 4];
}

struct Walk {
  bool ok = false;
  std::size_t integrity_at = 0;  ///< 0: none
};

/// Checks all that parse and verify have in common.
template <typename F>
Walk walk(std::span<const std::uint8_t> b, F&& each) {
  if (b.size() < kStunHeaderBytes || b.size() > kMaxStunBytes || (b[0] & 0xC0) != 0) return {};
  if (read32(b, 4) != kMagicCookie || read16(b, 2) % 4 != 0 ||
      read16(b, 2) + kStunHeaderBytes != b.size()) {
    return {};
  }
  Walk out;
  std::size_t at = kStunHeaderBytes;
  while (at < b.size()) {
    if (b.size() - at < 4) return {};
    const std::uint16_t type = read16(b, at);
    const std::size_t size = read16(b, at + 2);
    const std::size_t padded = (size + 3) / 4 * 4;
    if (padded > b.size() - at - 4) return {};
    if (type == kFingerprint) {
      if (size != 4 || at + 8 != b.size() || read32(b, at + 4) != fingerprint(b.first(at))) {
        return {};
      }
    } else if (type == kMessageIntegrity) {
      if (size != kIntegrityBytes) return {};
      if (out.integrity_at == 0) out.integrity_at = at;
    } else if (out.integrity_at == 0) {
      each(type, b.subspan(at + 4, size));
    }
    at += 4 + padded;
  }
  out.ok = true;
  return out;
}

}  // namespace

Result<TransactionId> new_transaction() {
  TransactionId out{};
  if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) {
    return Error{"the random generator failed"};
  }
  return out;
}

const StunMessage::Item* StunMessage::find(std::uint16_t type) const {
  const auto it =
      std::find_if(items.begin(), items.end(), [type](const Item& i) { return i.type == type; });
  return it == items.end() ? nullptr : &*it;
}

void StunMessage::add(std::uint16_t type, std::span<const std::uint8_t> value) {
  items.push_back({type, {value.begin(), value.end()}});
}
void StunMessage::add_text(std::uint16_t type, std::string_view value) {
  items.push_back({type, {value.begin(), value.end()}});
}
void StunMessage::add_number(std::uint16_t type, std::uint32_t value) {
  std::vector<std::uint8_t> bytes;
  put32(bytes, value);
  items.push_back({type, std::move(bytes)});
}

bool StunMessage::add_address(std::uint16_t type, const TransportAddress& address) {
  std::vector<std::uint8_t> value{0, 1};
  put16(value, address.port);
  std::array<std::uint8_t, 16> raw{};
  std::size_t size = 4;
  if (inet_pton(AF_INET, address.address.c_str(), raw.data()) != 1) {
    if (inet_pton(AF_INET6, address.address.c_str(), raw.data()) != 1) return false;
    value[1] = 2;
    size = 16;
  }
  value.insert(value.end(), raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(size));
  mask(value, transaction);
  items.push_back({type, std::move(value)});
  return true;
}

std::optional<std::string> StunMessage::text(std::uint16_t type) const {
  const Item* item = find(type);
  if (item == nullptr || item->value.size() > 763) return std::nullopt;
  return std::string(item->value.begin(), item->value.end());
}

std::optional<std::uint32_t> StunMessage::number(std::uint16_t type) const {
  const Item* item = find(type);
  if (item == nullptr || item->value.size() != 4) return std::nullopt;
  return read32(item->value, 0);
}

std::optional<TransportAddress> StunMessage::address(std::uint16_t type) const {
  const Item* item = find(type);
  if (item == nullptr) return std::nullopt;
  std::vector<std::uint8_t> value = item->value;
  const bool v6 = value.size() == 20 && value[1] == 2;
  if (!v6 && !(value.size() == 8 && value[1] == 1)) return std::nullopt;
  mask(value, transaction);
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(v6 ? AF_INET6 : AF_INET, value.data() + 4, text.data(), text.size());
  return TransportAddress{text.data(), read16(value, 2)};
}

int StunMessage::error_code() const {
  const Item* item = find(kErrorCode);
  if (item == nullptr || item->value.size() < 4) return 0;
  const int code = (item->value[2] & 0x07) * 100 + item->value[3];
  return item->value[3] < 100 && code >= 300 && code < 700 ? code : 0;
}

Result<StunMessage> parse_stun(std::span<const std::uint8_t> bytes) {
  StunMessage out;
  const Walk seen = walk(bytes, [&out](std::uint16_t type, std::span<const std::uint8_t> value) {
    out.add(type, value);
  });
  if (!seen.ok) return Error{"no STUN message"};
  const unsigned type = read16(bytes, 0);
  out.kind = static_cast<Class>((type >> 4 & 1) | (type >> 7 & 2));
  out.method = static_cast<Method>((type & 0x000f) | (type >> 1 & 0x0070) | (type >> 2 & 0x0f80));
  std::copy_n(bytes.begin() + 8, out.transaction.size(), out.transaction.begin());
  out.integrity = seen.integrity_at != 0;
  return out;
}

std::vector<std::uint8_t> build_stun(const StunMessage& message,
                                     std::span<const std::uint8_t> key) {
  std::vector<std::uint8_t> out;
  put16(out, type_of(message.method, message.kind));
  put16(out, 0);
  put32(out, kMagicCookie);
  out.insert(out.end(), message.transaction.begin(), message.transaction.end());
  for (const auto& item : message.items) {
    put16(out, item.type);
    put16(out, item.value.size());
    out.insert(out.end(), item.value.begin(), item.value.end());
    while (out.size() % 4 != 0) out.push_back(0);
  }
  if (!key.empty()) {
    // The length covers the attribute itself while it is computed.
    set_length(out, out.size() - kStunHeaderBytes + 4 + kIntegrityBytes);
    const auto mac = hmac(out, key);
    put16(out, kMessageIntegrity);
    put16(out, kIntegrityBytes);
    out.insert(out.end(), mac.begin(), mac.end());
  }
  set_length(out, out.size() - kStunHeaderBytes + 8);
  const std::uint32_t crc = fingerprint(out);
  put16(out, kFingerprint);
  put16(out, 4);
  put32(out, crc);
  return out;
}

bool verify_integrity(std::span<const std::uint8_t> bytes, std::span<const std::uint8_t> key) {
  const Walk seen = walk(bytes, [](std::uint16_t, std::span<const std::uint8_t>) {});
  if (!seen.ok || seen.integrity_at == 0) return false;
  std::vector<std::uint8_t> covered(bytes.begin(),
                                    bytes.begin() + static_cast<std::ptrdiff_t>(seen.integrity_at));
  set_length(covered, covered.size() - kStunHeaderBytes + 4 + kIntegrityBytes);
  const auto mac = hmac(covered, key);
  unsigned difference = 0;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    difference |= static_cast<unsigned>(mac[i] ^ bytes[seen.integrity_at + 4 + i]);
  }
  return difference == 0;
}

std::vector<std::uint8_t> long_term_key(std::string_view user, std::string_view realm,
                                        std::string_view password) {
  const std::string text =
      std::string(user) + ":" + std::string(realm) + ":" + std::string(password);
  std::vector<std::uint8_t> out(16);
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), out.data(), &size, EVP_md5(), nullptr);
  return out;
}

std::size_t write_channel_data(std::uint16_t channel, std::span<const std::uint8_t> payload,
                               std::span<std::uint8_t> out) {
  const std::size_t padded = (payload.size() + 3) / 4 * 4;
  if (payload.size() > 0xffff || out.size() < padded + 4) return 0;
  out[0] = static_cast<std::uint8_t>(channel >> 8);
  out[1] = static_cast<std::uint8_t>(channel);
  out[2] = static_cast<std::uint8_t>(payload.size() >> 8);
  out[3] = static_cast<std::uint8_t>(payload.size());
  std::copy(payload.begin(), payload.end(), out.begin() + 4);
  std::fill(out.begin() + 4 + static_cast<std::ptrdiff_t>(payload.size()),
            out.begin() + 4 + static_cast<std::ptrdiff_t>(padded), std::uint8_t{0});
  return padded + 4;
}

std::span<std::uint8_t> StreamSplitter::room() {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return std::span(buffer_).subspan(end_);
}

std::optional<StreamSplitter::Unit> StreamSplitter::next() {
  const auto left = std::span<const std::uint8_t>(buffer_).subspan(begin_, end_ - begin_);
  if (broken_ || left.size() < 4) return std::nullopt;
  const std::size_t length = read16(left, 2);
  const bool channel = (left[0] & 0xF0) == 0x40;
  if ((!channel && (left[0] & 0xC0) != 0) || length > kMaxStunBytes) {
    broken_ = true;
    return std::nullopt;
  }
  const std::size_t whole = channel ? 4 + (length + 3) / 4 * 4 : kStunHeaderBytes + length;
  if (left.size() < whole) return std::nullopt;
  begin_ += whole;
  if (channel) return Unit{read16(left, 0), left.subspan(4, length)};
  return Unit{0, left.first(whole)};
}

}  // namespace conclave::media::turn
