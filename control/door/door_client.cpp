// SPDX-License-Identifier: Apache-2.0
#include "control/door/door_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace conclave::control {

bool local_door_address(const std::string& path, sockaddr_un* address) {
  address->sun_family = AF_UNIX;
  if (path.size() >= sizeof address->sun_path) return false;
  std::memcpy(address->sun_path, path.c_str(), path.size() + 1);
  return true;
}

std::string local_door_path(const std::string& data_folder) {
  return data_folder + "/control.sock";
}

Result<std::string> ask_local_door(const std::string& path, const std::string& request,
                                   int timeout_ms) {
  sockaddr_un address{};
  if (!local_door_address(path, &address))
    return Error{"the path " + path + " is too long for a socket"};
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    const Error error{"no phone answers at " + path + " (" + std::strerror(errno) +
                      "); start it, or give its data folder by --data"};
    if (fd >= 0) ::close(fd);
    return error;
  }
  const timeval limit{timeout_ms / 1000, timeout_ms % 1000 * 1000};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const std::string line = request + "\n";
  std::string answer;
  bool ok = ::send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
  std::array<char, 16384> buffer{};
  while (ok && answer.find('\n') == std::string::npos) {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    ok = n > 0;
    if (ok) answer.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::close(fd);
  if (!ok) return Error{"the phone gave no answer at " + path + "; look into its log"};
  return answer.substr(0, answer.find('\n'));
}

}  // namespace conclave::control
