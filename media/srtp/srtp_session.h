// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "media/srtp/srtp_key.h"

namespace conclave::media {

/// SRTP and SRTCP (RFC 3711) on libsrtp2, both directions of one call. protect and unprotect work
/// in place and do not allocate in the steady state (libsrtp makes a stream at the first packet of
/// an SSRC). One thread after create().
class SrtpSession {
 public:
  /// Room that protect needs behind the packet.
  static constexpr std::size_t kTrailerBytes = 32;

  enum class Outcome {
    kOk,
    kReplayed,  ///< seen before, or too old for the window of 1024 packets
    kForged,    ///< failed authentication
    kMalformed,
  };

  /// Local and remote keys must be of one suite.
  static Result<std::unique_ptr<SrtpSession>> create(const SrtpKey& local, const SrtpKey& remote);
  ~SrtpSession();
  SrtpSession(const SrtpSession&) = delete;
  SrtpSession& operator=(const SrtpSession&) = delete;

  /// `buffer` holds `size` bytes of packet and at least kTrailerBytes more. Returns the protected
  /// size, 0 on failure (which only a packet that is not RTP or RTCP causes).
  std::size_t protect_rtp(std::span<std::uint8_t> buffer, std::size_t size) noexcept;
  std::size_t protect_rtcp(std::span<std::uint8_t> buffer, std::size_t size) noexcept;
  /// Any bytes are safe. On kOk `size` becomes the plain size.
  Outcome unprotect_rtp(std::span<std::uint8_t> buffer, std::size_t& size) noexcept;
  Outcome unprotect_rtcp(std::span<std::uint8_t> buffer, std::size_t& size) noexcept;

 private:
  struct State;
  explicit SrtpSession(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace conclave::media
