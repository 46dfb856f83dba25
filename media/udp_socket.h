// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace conclave::media {

/// An IPv4 or IPv6 address with a port.
class UdpAddress {
 public:
  UdpAddress() = default;
  /// From a literal; an error for names.
  static Result<UdpAddress> parse(const std::string& literal, std::uint16_t port);
  bool operator==(const UdpAddress& other) const noexcept;
  std::uint16_t port() const noexcept;
  int family() const noexcept { return storage_.ss_family; }

 private:
  friend class UdpSocket;
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

/// A bound, non-blocking UDP socket.
class UdpSocket {
 public:
  static Result<std::unique_ptr<UdpSocket>> bind(const std::string& literal, std::uint16_t port);
  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  int fd() const { return fd_; }
  std::uint16_t port() const { return port_; }
  int family() const { return family_; }
  /// Differentiated services code point of what is sent, 0..63 (RFC 2474).
  bool set_dscp(int dscp) noexcept;
  bool send(std::span<const std::uint8_t> datagram, const UdpAddress& to) noexcept;
  /// The datagram's size; -1 when none is waiting. Longer ones are cut off and returned as too
  /// long: a size above the buffer's.
  std::ptrdiff_t receive(std::span<std::uint8_t> buffer, UdpAddress& from) noexcept;

 private:
  UdpSocket(int fd, int family, std::uint16_t port) : fd_(fd), family_(family), port_(port) {}
  int fd_;
  int family_;
  std::uint16_t port_;
};

}  // namespace conclave::media
