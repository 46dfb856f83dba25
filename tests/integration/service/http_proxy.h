// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace conclave::service {

/// A port of 127.0.0.1 that takes connections (TCP) or datagrams (UDP) and says nothing.
class SilentPort {
 public:
  explicit SilentPort(int type) : fd_(socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    if (type == SOCK_STREAM) listen(fd_, 64);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~SilentPort() { close(fd_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  int port() const { return port_; }

 private:
  int fd_;
  int port_ = 0;
};

/// An HTTP proxy that knows CONNECT to this machine and, maybe, wants a password (Basic).
class HttpProxy {
 public:
  explicit HttpProxy(std::string basic) : basic_(std::move(basic)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 64);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~HttpProxy() {
    stop_ = true;
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (auto& worker : workers_) worker.join();
    close(listener_);
  }
  int port() const { return port_; }
  int connects_to(int port) const {
    const std::lock_guard lock(mutex_);
    const auto at = connects_.find(port);
    return at == connects_.end() ? 0 : at->second;
  }

 private:
  void run() {
    while (!stop_) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      workers_.emplace_back([this, fd] { serve(fd); });
    }
  }
  void serve(int client) {
    std::string head;
    std::array<char, 4096> buffer;
    int server = -1;
    while (!stop_ && server < 0) {
      pollfd one{client, POLLIN, 0};
      if (poll(&one, 1, 100) == 0) continue;
      const ssize_t got = recv(client, buffer.data(), buffer.size(), 0);
      if (got <= 0) break;
      head.append(buffer.data(), static_cast<std::size_t>(got));
      if (head.find("\r\n\r\n") == std::string::npos) continue;
      const bool allowed =
          basic_.empty() || head.find("Proxy-Authorization: Basic " + basic_) != std::string::npos;
      if (!allowed) {
        const std::string answer =
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic "
            "realm=\"test\"\r\nContent-Length: 0\r\n\r\n";
        send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
        head.clear();
        continue;
      }
      const auto colon = head.find(':');
      const int port = std::atoi(head.c_str() + colon + 1);
      {
        const std::lock_guard lock(mutex_);
        ++connects_[port];
      }
      server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      address.sin_port = htons(static_cast<std::uint16_t>(port));
      const bool ok = connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
      const std::string answer =
          ok ? "HTTP/1.1 200 OK\r\n\r\n" : "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
      send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      if (!ok) break;
    }
    while (!stop_ && server >= 0) {
      std::array<pollfd, 2> fds{pollfd{client, POLLIN, 0}, pollfd{server, POLLIN, 0}};
      poll(fds.data(), fds.size(), 100);
      bool open = true;
      for (int i = 0; i < 2; ++i) {
        if (fds[static_cast<std::size_t>(i)].revents == 0) continue;
        const ssize_t got = recv(i == 0 ? client : server, buffer.data(), buffer.size(), 0);
        open = open && got > 0 &&
               send(i == 0 ? server : client, buffer.data(), static_cast<std::size_t>(got),
                    MSG_NOSIGNAL) == got;
      }
      if (!open) break;
    }
    if (server >= 0) close(server);
    close(client);
  }

  const std::string basic_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::map<int, int> connects_;
  std::vector<std::thread> workers_;
  std::thread thread_;
};

}  // namespace conclave::service
