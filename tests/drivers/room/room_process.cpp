// SPDX-License-Identifier: Apache-2.0
#include "tests/drivers/room/room_process.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "drivers/room/room_protocol.h"

namespace conclave::drivers {

namespace fs = std::filesystem;

RoomProcess::RoomProcess(bool virtual_time) : virtual_time_(virtual_time) {
  // Longer than a UNIX address may be: installations have long paths too.
  const std::string pattern =
      (fs::temp_directory_path() / ("conclave_room_" + std::string(80, 'x') + "_XXXXXX")).string();
  std::string name = pattern;
  if (mkdtemp(name.data()) != nullptr) directory_ = name;
  setenv("ALSA_CONFIG_PATH", (directory_ + "/asound.conf").c_str(), 1);
}

RoomProcess::~RoomProcess() {
  kill();
  std::error_code error;
  if (!directory_.empty()) fs::remove_all(directory_, error);
}

bool RoomProcess::start() {
  std::error_code error;
  fs::remove(directory_ + "/room.json", error);
  pid_ = fork();
  if (pid_ == 0) {
    execl(ROOM_HOST, ROOM_HOST, directory_.c_str(), ROOM_PLUGIN, virtual_time_ ? "virtual" : "real",
          static_cast<char*>(nullptr));
    _exit(127);
  }
  for (int i = 0; i < 3000; ++i) {
    if (fs::exists(directory_ + "/room.json", error)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

void RoomProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string RoomProcess::control(const std::string& command) const {
  const int fd = room::connect_socket((directory_ + "/control.sock").c_str());
  if (fd < 0) return "";
  const std::string line = command + "\n";
  std::string answer;
  if (::send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size())) {
    std::array<char, 4096> bytes{};
    while (answer.find('\n') == std::string::npos) {
      const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
      if (got <= 0) break;
      answer.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }
  ::close(fd);
  return answer;
}

}  // namespace conclave::drivers
