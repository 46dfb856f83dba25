// SPDX-License-Identifier: Apache-2.0
#include "control/door/local_door.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "control/door/door_client.h"

namespace conclave::control {
namespace {

constexpr std::size_t kMaxLine = 2 << 20;
constexpr std::size_t kMaxUnsent = 8 << 20;
constexpr std::size_t kMaxClients = 8;

Error failed(const std::string& what, const std::string& path) {
  return Error{what + " " + path + ": " + std::strerror(errno)};
}

class Door final : public LocalDoor {
 public:
  Door(std::string path, Phone& phone) : path_(std::move(path)), phone_(&phone) {}
  ~Door() override {
    if (thread_.joinable()) {
      wake_->stop();
      thread_.join();
    }
    for (auto& [id, client] : clients_) ::close(client.fd);
    if (listener_ >= 0) {
      ::close(listener_);
      ::unlink(path_.c_str());
    }
  }

  Status start() {
    sockaddr_un address{};
    if (!local_door_address(path_, &address)) {
      return Error{"the path " + path_ + " is too long for a socket; choose a shorter data folder"};
    }
    ::unlink(path_.c_str());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const mode_t before = ::umask(0177);
    const int bound = ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::umask(before);
    if (listener_ < 0 || bound != 0 || ::listen(listener_, 8) != 0) {
      return failed("cannot open the local socket", path_);
    }
    thread_ = std::thread([this] { body(); });
    return {};
  }

 private:
  struct Client {
    int fd = -1;
    std::string in, out;
    int waiting = 0;
    bool ending = false;  // nothing more comes; answers still go
  };
  /// Answers come on the control loop and may come after the door is gone.
  struct Wake {
    std::mutex mutex;
    std::deque<std::pair<std::uint64_t, std::string>> answers;
    bool stopping = false;
    int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ~Wake() { ::close(fd); }
    void ring() const {
      const std::uint64_t one = 1;
      [[maybe_unused]] const ssize_t n = ::write(fd, &one, sizeof one);
    }
    void stop() {
      const std::lock_guard lock(mutex);
      stopping = true;
      ring();
    }
    void answer(std::uint64_t id, std::string text) {
      const std::lock_guard lock(mutex);
      answers.emplace_back(id, std::move(text));
      ring();
    }
  };

  void body();
  void accept_one();
  bool read_some(std::uint64_t id, Client& client);
  static bool write_some(Client& client);

  std::string path_;
  Phone* phone_;
  int listener_ = -1;
  std::shared_ptr<Wake> wake_ = std::make_shared<Wake>();
  std::map<std::uint64_t, Client> clients_;
  std::uint64_t next_id_ = 1;
  std::thread thread_;
};

void Door::accept_one() {
  const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  if (clients_.size() >= kMaxClients) {
    ::close(fd);
    return;
  }
  clients_[next_id_++].fd = fd;
}

bool Door::read_some(std::uint64_t id, Client& client) {
  std::array<char, 8192> buffer{};
  const ssize_t n = ::read(client.fd, buffer.data(), buffer.size());
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) {
    client.ending = true;
    return client.waiting > 0 || !client.out.empty();
  }
  client.in.append(buffer.data(), static_cast<std::size_t>(n));
  for (std::size_t end = client.in.find('\n'); end != std::string::npos;
       end = client.in.find('\n')) {
    std::string line = client.in.substr(0, end);
    client.in.erase(0, end + 1);
    if (line.empty()) continue;
    ++client.waiting;
    phone_->handle(std::move(line), {"local", "", "local"},
                   [wake = wake_, id](std::string text) { wake->answer(id, std::move(text)); });
  }
  return client.in.size() <= kMaxLine;
}

bool Door::write_some(Client& client) {
  while (!client.out.empty()) {
    const ssize_t n = ::send(client.fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    client.out.erase(0, static_cast<std::size_t>(n));
  }
  return !client.ending || client.waiting > 0;
}

void Door::body() {
  pthread_setname_np(pthread_self(), "local-door");
  for (;;) {
    std::vector<pollfd> watched{{wake_->fd, POLLIN, 0}, {listener_, POLLIN, 0}};
    std::vector<std::uint64_t> ids;
    for (const auto& [id, client] : clients_) {
      short events = 0;
      if (!client.ending && client.waiting < 16) events |= POLLIN;
      if (!client.out.empty()) events |= POLLOUT;
      watched.push_back({client.fd, events, 0});
      ids.push_back(id);
    }
    if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t drained = ::read(wake_->fd, &count, sizeof count);
    {
      const std::lock_guard lock(wake_->mutex);
      if (wake_->stopping) return;
      for (auto& [id, text] : wake_->answers) {
        const auto found = clients_.find(id);
        if (found == clients_.end()) continue;
        --found->second.waiting;
        if (!text.empty()) found->second.out += text + "\n";
      }
      wake_->answers.clear();
    }
    if ((watched[1].revents & POLLIN) != 0) accept_one();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      Client& client = clients_[ids[i]];
      const short events = watched[i + 2].revents;
      bool keep = true;
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !client.ending) {
        keep = read_some(ids[i], client);
      } else if ((events & (POLLHUP | POLLERR)) != 0) {
        keep = false;
      }
      keep = keep && write_some(client) && client.out.size() <= kMaxUnsent;
      if (!keep) {
        ::close(client.fd);
        clients_.erase(ids[i]);
      }
    }
  }
}

}  // namespace

Result<std::unique_ptr<LocalDoor>> LocalDoor::open(const std::string& path, Phone& phone) {
  auto door = std::make_unique<Door>(path, phone);
  CONCLAVE_CHECK_STATUS(door->start());
  return std::unique_ptr<LocalDoor>(std::move(door));
}

}  // namespace conclave::control
