// SPDX-License-Identifier: Apache-2.0
#include "service/janus/janus_child.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "service/janus/room_recorder.h"
#include "service/secrets.h"
#include "service/server_child.h"

namespace conclave::service {
namespace {

constexpr const char* kInstall = "; install the Debian package \"janus\"";

std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::stringstream folders(path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string candidate = folder + "/" + name;
    if (!folder.empty() && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

std::string find_module(const std::string& pattern) {
  glob_t found{};
  std::string out;
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0 && found.gl_pathc > 0) {
    out = found.gl_pathv[0];
  }
  globfree(&found);
  return out;
}

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

Status write_text(const std::string& path, const std::string& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool ok =
      fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) close(fd);
  if (!ok) return Error{"Cannot write " + path + ": " + std::strerror(errno)};
  return {};
}

Status write_configuration(const JanusInstallation& installation, const std::string& folder,
                           int port, const std::string& secret) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (const char* sub : {"/plugins", "/transports", "/none"}) {
    fs::create_directories(folder + sub, error);
  }
  fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return Error{"Cannot make " + folder + ": " + error.message()};
  // Links to two modules only: nothing else that the package brings is ever loaded.
  const auto link = [&](const std::string& target, const std::string& name) {
    fs::remove(name, error);
    fs::create_symlink(target, name, error);
    return !error;
  };
  if (!link(installation.audiobridge, folder + "/plugins/libjanus_audiobridge.so") ||
      !link(installation.http, folder + "/transports/libjanus_http.so")) {
    return Error{"Cannot write into " + folder + ": " + error.message()};
  }
  std::ostringstream core;
  core << "general: {\n"
       << "  configs_folder = \"" << folder << "\"\n"
       << "  plugins_folder = \"" << folder << "/plugins\"\n"
       << "  transports_folder = \"" << folder << "/transports\"\n"
       << "  events_folder = \"" << folder << "/none\"\n"
       << "  loggers_folder = \"" << folder << "/none\"\n"
       << "  debug_level = 3\n  debug_timestamps = true\n  debug_colors = false\n"
       << "  api_secret = \"" << secret << "\"\n"
       << "  session_timeout = 30\n}\n"
       << "media: { ipv6 = false }\n"
       << "nat: {\n  nice_debug = false\n  ice_enforce_list = \"lo\"\n}\n"
       << "events: { broadcast = false }\n";
  CONCLAVE_CHECK_STATUS(write_text(folder + "/janus.jcfg", core.str()));
  std::ostringstream http;
  http << "general: {\n  json = \"compact\"\n  base_path = \"/janus\"\n  http = true\n  port = "
       << port << "\n  ip = \"127.0.0.1\"\n  https = false\n}\n"
       << "admin: {\n  admin_http = false\n  admin_https = false\n}\n";
  CONCLAVE_CHECK_STATUS(write_text(folder + "/janus.transport.http.jcfg", http.str()));
  return write_text(folder + "/janus.plugin.audiobridge.jcfg",
                    std::string("general: {\n  string_ids = true\n  local_ip = \"127.0.0.1\"\n") +
                        "  record_tmp_ext = \"" + (kWritingSuffix + 1) + "\"\n" +
                        "  rtp_port_range = \"20000-59999\"\n}\n");
}

}  // namespace

Result<JanusInstallation> find_janus() {
  JanusInstallation out;
  out.program = find_program("janus");
  if (out.program.empty()) {
    return Error{std::string("The conference mixer \"janus\" is not in the PATH") + kInstall};
  }
  const auto module = [](const char* kind, const char* name) {
    for (const char* root : {"/usr/lib/*/janus/", "/usr/lib/janus/", "/usr/local/lib/janus/",
                             "/opt/janus/lib/janus/"}) {
      std::string found = find_module(std::string(root) + kind + "/" + name);
      if (!found.empty()) return found;
    }
    return std::string();
  };
  out.audiobridge = module("plugins", "libjanus_audiobridge.so");
  out.http = module("transports", "libjanus_http.so");
  if (out.audiobridge.empty() || out.http.empty()) {
    return Error{std::string("Janus is there, but not its AudioBridge plugin or HTTP transport") +
                 kInstall};
  }
  return out;
}

Status JanusChild::start(const JanusInstallation& installation, const std::string& folder) {
  stop();
  const int port = free_port();
  secret_ = random_hex(24);
  url_ = "http://127.0.0.1:" + std::to_string(port) + "/janus";
  CONCLAVE_CHECK_STATUS(write_configuration(installation, folder, port, secret_));
  const std::string log = folder + "/janus.log";
  CONCLAVE_TRY(pid_, start_server_child("Janus", {installation.program, "-F", folder}, log));
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  return {};
}

bool JanusChild::alive() {
  if (pid_ < 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == 0) return true;
  pid_ = -1;
  if (pidfd_ >= 0) close(pidfd_);
  pidfd_ = -1;
  return false;
}

void JanusChild::kill_now() {
  if (pid_ > 0) kill(pid_, SIGKILL);
}

void JanusChild::stop() {
  if (!alive()) return;
  kill(pid_, SIGTERM);
  for (int i = 0; i < 100 && alive(); ++i) usleep(20'000);
  if (!alive()) return;
  kill_now();
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  if (pidfd_ >= 0) close(pidfd_);
  pidfd_ = -1;
}

}  // namespace conclave::service
