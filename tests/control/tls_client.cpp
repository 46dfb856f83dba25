// SPDX-License-Identifier: Apache-2.0
#include "tests/control/tls_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace conclave::control::test {
namespace {

using Clock = std::chrono::steady_clock;

int left_ms(Clock::time_point until) {
  return static_cast<int>(std::max<std::int64_t>(
      0, std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count()));
}

HttpAnswer parse(const std::string& text) {
  HttpAnswer answer;
  const std::size_t head_end = text.find("\r\n\r\n");
  if (text.size() < 12 || head_end == std::string::npos) return answer;
  answer.status = std::atoi(text.c_str() + 9);
  for (std::size_t at = text.find("\r\n") + 2; at < head_end;) {
    const std::size_t end = text.find("\r\n", at);
    const std::string line = text.substr(at, end - at);
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos) {
      std::string name = line.substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(), ::tolower);
      std::string value = line.substr(colon + 1);
      while (!value.empty() && value.front() == ' ') value.erase(0, 1);
      answer.headers[name] = value;
    }
    at = end + 2;
  }
  answer.body = text.substr(head_end + 4);
  return answer;
}

}  // namespace

TlsClient::TlsClient(int port) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
  context_ = SSL_CTX_new(TLS_client_method());
  ssl_ = SSL_new(context_);
  SSL_set_fd(ssl_, fd_);
  if (SSL_connect(ssl_) != 1) {
    SSL_free(ssl_);
    ssl_ = nullptr;
  }
}

TlsClient::~TlsClient() {
  if (ssl_ != nullptr) SSL_free(ssl_);
  if (context_ != nullptr) SSL_CTX_free(context_);
  if (fd_ >= 0) ::close(fd_);
}

bool TlsClient::send(const std::string& bytes) {
  return ssl_ != nullptr && SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) ==
                                static_cast<int>(bytes.size());
}

std::string TlsClient::receive(int limit_ms) {
  if (ssl_ == nullptr) {
    closed_ = true;
    return {};
  }
  const auto until = Clock::now() + std::chrono::milliseconds(limit_ms);
  std::array<char, 16384> buffer{};
  for (;;) {
    if (SSL_pending(ssl_) == 0) {
      pollfd watched{fd_, POLLIN, 0};
      if (::poll(&watched, 1, left_ms(until)) <= 0) return {};
    }
    const int n = SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()));
    if (n > 0) return {buffer.data(), static_cast<std::size_t>(n)};
    const int error = SSL_get_error(ssl_, n);
    if (error != SSL_ERROR_WANT_READ) {
      closed_ = true;
      return {};
    }
  }
}

HttpAnswer http_on(TlsClient& client, const std::string& raw) {
  client.send(raw);
  std::string text;
  const auto until = Clock::now() + std::chrono::seconds(10);
  while (Clock::now() < until) {
    HttpAnswer now = parse(text);
    const auto length = now.headers.find("content-length");
    if (now.status != 0 &&
        (length == now.headers.end() || now.body.size() >= std::stoul(length->second))) {
      return now;
    }
    const std::string more = client.receive();
    if (more.empty()) return parse(text);
    text += more;
  }
  return parse(text);
}

HttpAnswer http(int port, const std::string& method, const std::string& path,
                const std::string& extra, const std::string& body) {
  TlsClient client(port);
  std::string raw = method + " " + path + " HTTP/1.1\r\n";
  if (extra.find("Host:") == std::string::npos) {
    raw += "Host: 127.0.0.1:" + std::to_string(port) + "\r\n";
  }
  raw += extra;
  if (!body.empty() || method == "POST") {
    raw += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  return http_on(client, raw + "\r\n" + body);
}

WebSocket::WebSocket(int port, const std::string& cookie,
                     const std::map<std::string, std::string>& headers)
    : client_(std::make_unique<TlsClient>(port)) {
  const std::string host = "127.0.0.1:" + std::to_string(port);
  std::map<std::string, std::string> all = {{"Host", host},
                                            {"Upgrade", "websocket"},
                                            {"Connection", "Upgrade"},
                                            {"Origin", "https://" + host},
                                            {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                                            {"Sec-WebSocket-Version", "13"},
                                            {"Sec-WebSocket-Protocol", "conclave.v1"},
                                            {"Cookie", cookie}};
  std::string path = "/api/v1/socket";
  for (const auto& [name, value] : headers) {
    if (name == "path") {
      path = value;
    } else {
      all[name] = value;
    }
  }
  std::string raw = "GET " + path + " HTTP/1.1\r\n";
  for (const auto& [name, value] : all) {
    if (!value.empty()) raw += name + ": " + value + "\r\n";
  }
  client_->send(raw + "\r\n");
  while (buffer_.find("\r\n\r\n") == std::string::npos) {
    const std::string more = client_->receive();
    if (more.empty()) break;
    buffer_ += more;
  }
  const HttpAnswer answer = parse(buffer_);
  status_ = answer.status;
  buffer_ = answer.body;
}

void WebSocket::frame(int first_byte, const std::string& data, bool masked) {
  std::string out(1, static_cast<char>(first_byte));
  const int mask_bit = masked ? 0x80 : 0;
  if (data.size() < 126) {
    out += static_cast<char>(mask_bit | static_cast<int>(data.size()));
  } else if (data.size() < 65536) {
    out += static_cast<char>(mask_bit | 126);
    out += static_cast<char>(data.size() >> 8);
    out += static_cast<char>(data.size() & 0xff);
  } else {
    out += static_cast<char>(mask_bit | 127);
    for (int shift = 56; shift >= 0; shift -= 8) {
      out += static_cast<char>(data.size() >> shift & 0xff);
    }
  }
  const std::string mask = "\x12\x34\x56\x78";
  if (masked) out += mask;
  for (std::size_t i = 0; i < data.size(); ++i) {
    out += masked ? static_cast<char>(data[i] ^ mask[i % 4]) : data[i];
  }
  client_->send(out);
}

std::optional<WebSocket::Message> WebSocket::next(int limit_ms) {
  const auto until = Clock::now() + std::chrono::milliseconds(limit_ms);
  for (;;) {
    if (buffer_.size() >= 2) {
      const auto byte = [this](std::size_t i) { return static_cast<unsigned char>(buffer_[i]); };
      std::size_t length = byte(1) & 0x7fU;
      std::size_t head = 2;
      const std::size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
      if (buffer_.size() >= 2 + more) {
        if (more > 0) length = 0;
        for (std::size_t i = 0; i < more; ++i) length = length << 8 | byte(2 + i);
        head += more;
        if (buffer_.size() >= head + length) {
          Message message{byte(0) & 0x0f, buffer_.substr(head, length)};
          buffer_.erase(0, head + length);
          if (message.opcode == 9) continue;
          return message;
        }
      }
    }
    const std::string more = client_->receive(left_ms(until));
    if (more.empty()) return std::nullopt;
    buffer_ += more;
  }
}

std::optional<std::string> WebSocket::text_with(const std::string& part, int limit_ms) {
  const auto until = Clock::now() + std::chrono::milliseconds(limit_ms);
  while (left_ms(until) > 0) {
    const auto message = next(left_ms(until));
    if (!message) return std::nullopt;
    if (message->opcode == 1 && message->data.find(part) != std::string::npos) return message->data;
  }
  return std::nullopt;
}

}  // namespace conclave::control::test
