// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// STUN (RFC 8489) and the parts of TURN (RFC 8656, TCP: RFC 6062) that a client of a tunnel needs.
/// Everything parsed is outside data of any content. Nothing throws; any thread.
namespace conclave::media::turn {

inline constexpr std::uint32_t kMagicCookie = 0x2112A442;
inline constexpr std::size_t kStunHeaderBytes = 20;
inline constexpr std::size_t kMaxStunBytes = 2048;

enum class Method : std::uint16_t {
  kBinding = 0x001,
  kAllocate = 0x003,
  kRefresh = 0x004,
  kCreatePermission = 0x008,
  kChannelBind = 0x009,
  kConnect = 0x00A,         // RFC 6062
  kConnectionBind = 0x00B,  // RFC 6062
};
enum class Class : std::uint16_t { kRequest, kIndication, kSuccess, kError };

enum Attribute : std::uint16_t {
  kUsername = 0x0006,
  kMessageIntegrity = 0x0008,
  kErrorCode = 0x0009,
  kChannelNumber = 0x000C,
  kLifetime = 0x000D,
  kXorPeerAddress = 0x0012,
  kRealm = 0x0014,
  kNonce = 0x0015,
  kXorRelayedAddress = 0x0016,
  kRequestedAddressFamily = 0x0017,
  kRequestedTransport = 0x0019,
  kXorMappedAddress = 0x0020,
  kConnectionId = 0x002A,
  kFingerprint = 0x8028,
};

using TransactionId = std::array<std::uint8_t, 12>;
Result<TransactionId> new_transaction();

struct TransportAddress {
  std::string address{};  ///< IPv4 or IPv6 literal
  std::uint16_t port = 0;
  bool operator==(const TransportAddress&) const = default;
};

struct StunMessage {
  Method method = Method::kBinding;
  Class kind = Class::kRequest;
  TransactionId transaction{};
  struct Item {
    std::uint16_t type = 0;
    std::vector<std::uint8_t> value{};
  };
  std::vector<Item> items{};  ///< without integrity and fingerprint
  bool integrity = false;     ///< parsed: carried MESSAGE-INTEGRITY (see verify_integrity)

  const Item* find(std::uint16_t type) const;
  void add(std::uint16_t type, std::span<const std::uint8_t> value);
  void add_text(std::uint16_t type, std::string_view text);
  void add_number(std::uint16_t type, std::uint32_t value);
  /// XOR'ed with cookie and transaction id, which must be set before. False: no literal.
  bool add_address(std::uint16_t type, const TransportAddress& address);

  std::optional<std::string> text(std::uint16_t type) const;
  std::optional<std::uint32_t> number(std::uint16_t type) const;  ///< of exactly 4 bytes
  std::optional<TransportAddress> address(std::uint16_t type) const;
  /// 300..699; 0: none or malformed.
  int error_code() const;
};

/// Strict: header, cookie, lengths that fit exactly, a FINGERPRINT (if any) that is last and right.
/// What follows MESSAGE-INTEGRITY is left out, as it is not protected (RFC 8489, 14.5).
Result<StunMessage> parse_stun(std::span<const std::uint8_t> bytes);

/// Bytes with padding, MESSAGE-INTEGRITY (HMAC-SHA1) when `key` is not empty, and FINGERPRINT.
std::vector<std::uint8_t> build_stun(const StunMessage& message, std::span<const std::uint8_t> key);

/// Whether MESSAGE-INTEGRITY is there and right.
bool verify_integrity(std::span<const std::uint8_t> bytes, std::span<const std::uint8_t> key);

/// MD5(user:realm:password), RFC 8489, 9.2.2.
std::vector<std::uint8_t> long_term_key(std::string_view user, std::string_view realm,
                                        std::string_view password);

/// ChannelData over a stream: header, payload, padding to four bytes (RFC 8656, 12.5). Returns the
/// size written; 0: does not fit.
std::size_t write_channel_data(std::uint16_t channel, std::span<const std::uint8_t> payload,
                               std::span<std::uint8_t> out);

/// Cuts a byte stream into STUN messages and ChannelData. Bounded: a unit that is neither, or
/// longer than kMaxStunBytes, ends the stream.
class StreamSplitter {
 public:
  struct Unit {
    std::uint16_t channel = 0;              ///< 0x4000..0x4FFF; 0: a STUN message
    std::span<const std::uint8_t> bytes{};  ///< the message, or the channel's payload
  };
  /// Room for the next bytes of the stream; the size read goes into grown().
  std::span<std::uint8_t> room();
  void grown(std::size_t size) { end_ += size; }
  /// The next whole unit, valid until room(); empty when more is needed.
  std::optional<Unit> next();
  bool broken() const { return broken_; }

 private:
  std::array<std::uint8_t, 16 * 1024> buffer_{};
  std::size_t begin_ = 0, end_ = 0;
  bool broken_ = false;
};

}  // namespace conclave::media::turn
