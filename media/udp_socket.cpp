// SPDX-License-Identifier: Apache-2.0
#include "media/udp_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace conclave::media {
namespace {

std::uint16_t port_of(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
}

}  // namespace

Result<UdpAddress> UdpAddress::parse(const std::string& literal, std::uint16_t port) {
  UdpAddress address;
  auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage_);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage_);
  if (inet_pton(AF_INET, literal.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    address.size_ = sizeof v4;
  } else if (inet_pton(AF_INET6, literal.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    address.size_ = sizeof v6;
  } else {
    return Error{"not an IP address: \"" + literal.substr(0, 64) + "\""};
  }
  return address;
}

bool UdpAddress::operator==(const UdpAddress& other) const noexcept {
  if (storage_.ss_family != other.storage_.ss_family || port() != other.port()) return false;
  if (storage_.ss_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in&>(storage_).sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in&>(other.storage_).sin_addr.s_addr;
  }
  return std::memcmp(&reinterpret_cast<const sockaddr_in6&>(storage_).sin6_addr,
                     &reinterpret_cast<const sockaddr_in6&>(other.storage_).sin6_addr,
                     sizeof(in6_addr)) == 0;
}

std::uint16_t UdpAddress::port() const noexcept { return port_of(storage_); }

Result<std::unique_ptr<UdpSocket>> UdpSocket::bind(const std::string& literal, std::uint16_t port) {
  CONCLAVE_TRY(const UdpAddress local, UdpAddress::parse(literal, port));
  const int fd = socket(local.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error{std::string("no UDP socket: ") + std::strerror(errno)};
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&local.storage_), local.size_) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    const std::string why = std::strerror(errno);
    close(fd);
    return Error{"cannot bind UDP port " + std::to_string(port) + " of " + literal + ": " + why};
  }
  return std::unique_ptr<UdpSocket>(new UdpSocket(fd, local.family(), port_of(bound)));
}

UdpSocket::~UdpSocket() { close(fd_); }

bool UdpSocket::set_dscp(int dscp) noexcept {
  const int traffic_class = (dscp & 63) << 2;
  return family_ == AF_INET
             ? setsockopt(fd_, IPPROTO_IP, IP_TOS, &traffic_class, sizeof traffic_class) == 0
             : setsockopt(fd_, IPPROTO_IPV6, IPV6_TCLASS, &traffic_class, sizeof traffic_class) ==
                   0;
}

bool UdpSocket::send(std::span<const std::uint8_t> datagram, const UdpAddress& to) noexcept {
  return sendto(fd_, datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                reinterpret_cast<const sockaddr*>(&to.storage_),
                to.size_) == static_cast<ssize_t>(datagram.size());
}

std::ptrdiff_t UdpSocket::receive(std::span<std::uint8_t> buffer, UdpAddress& from) noexcept {
  from.size_ = sizeof from.storage_;
  return recvfrom(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC,
                  reinterpret_cast<sockaddr*>(&from.storage_), &from.size_);
}

}  // namespace conclave::media
