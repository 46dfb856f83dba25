// SPDX-License-Identifier: Apache-2.0
#include "control/conference/rest_client.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "control/errors/classify.h"

namespace conclave::control {
namespace {

/// A header of the last answer; empty when it has none.
std::string header_of(CURL* easy, const char* name) {
  curl_header* header = nullptr;
  if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK) return {};
  const std::string value = header->value;
  return value.size() <= 512 ? value : std::string();
}

void initialise_once() {
  static const CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)rc;
}

}  // namespace

struct RestClient::Transfer {
  std::uint64_t id = 0;
  RestRequest request;
  RestConfig config;
  Done done;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::array<char, CURL_ERROR_SIZE> error{};
  std::string answer;
  bool too_long = false;
  std::vector<int> sockets;  // copies, to ask afterwards whether a connection stood

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    if (easy != nullptr) curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    for (const int fd : sockets) ::close(fd);
  }
  static curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* address) {
    const int fd = ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) return CURL_SOCKET_BAD;
    if (const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0); copy >= 0) {
      static_cast<Transfer*>(user)->sockets.push_back(copy);
    }
    return fd;
  }
  /// libcurl does not tell whether a request that ran out of time had reached anybody.
  bool connected() const {
    return sockets.empty() || std::any_of(sockets.begin(), sockets.end(), [](int fd) {
             sockaddr_storage peer{};
             socklen_t length = sizeof peer;
             return ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
           });
  }
  static std::size_t write(char* data, std::size_t size, std::size_t count, void* user) {
    auto* self = static_cast<Transfer*>(user);
    if (self->answer.size() + size * count > self->request.max_answer) {
      self->too_long = true;
      return 0;
    }
    self->answer.append(data, size * count);
    return size * count;
  }
};

RestClient::RestClient() {
  initialise_once();
  multi_ = curl_multi_init();
  thread_ = std::thread([this] { body(); });
}

RestClient::~RestClient() {
  stopping_ = true;
  curl_multi_wakeup(multi_);
  thread_.join();
  for (auto& [easy, transfer] : running_) curl_multi_remove_handle(multi_, easy);
  running_.clear();
  curl_multi_cleanup(multi_);
}

void RestClient::configure(const RestConfig& config) {
  const std::lock_guard lock(mutex_);
  config_ = config;
}

std::uint64_t RestClient::send(RestRequest request, Done done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = transfer->id = next_id_++;
    transfer->config = config_;
    incoming_.push_back(std::move(transfer));
  }
  curl_multi_wakeup(multi_);
  return id;
}

void RestClient::cancel(std::uint64_t id) {
  {
    const std::lock_guard lock(mutex_);
    cancelled_.push_back(id);
  }
  curl_multi_wakeup(multi_);
}

void RestClient::begin(std::unique_ptr<Transfer> transfer) {
  CURL* easy = curl_easy_init();
  Transfer& t = *transfer;
  t.easy = easy;
  t.headers = curl_slist_append(t.headers, ("Accept: " + t.request.accept).c_str());
  if (!t.request.etag.empty()) {
    t.headers = curl_slist_append(t.headers, ("If-None-Match: " + t.request.etag).c_str());
  }
  if (!t.request.body.empty()) {
    t.headers = curl_slist_append(t.headers, "Content-Type: application/json");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, t.request.body.c_str());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(t.request.body.size()));
  }
  curl_easy_setopt(easy, CURLOPT_URL, t.request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, t.request.method.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t.headers);
  if (!t.request.token.empty()) {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, t.request.token.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, t.request.follow ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(easy, CURLOPT_POSTREDIR, static_cast<long>(CURL_REDIR_POST_ALL));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(std::min<long>(t.request.timeout.count(), 10000)));
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(t.request.timeout.count()));
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!t.config.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, t.config.ca_file.c_str());
    if (!t.config.system_cas) curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  }
  if (!t.config.cert_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_SSLCERT, t.config.cert_file.c_str());
    curl_easy_setopt(easy, CURLOPT_SSLKEY, t.config.cert_file.c_str());
  }
  // Empty switches off what the environment says: settings decide, nothing else.
  curl_easy_setopt(easy, CURLOPT_PROXY, t.config.proxy.c_str());
  if (!t.config.proxy.empty()) {
    curl_easy_setopt(easy, CURLOPT_PROXYAUTH,
                     static_cast<long>(CURLAUTH_BASIC | CURLAUTH_DIGEST | CURLAUTH_NTLM));
    curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, t.config.proxy_user.c_str());
    curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, t.config.proxy_password.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfer::open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &t);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, t.config.user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t.error.data());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::write);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &t);
  curl_multi_add_handle(multi_, easy);
  running_[easy] = std::move(transfer);
}

void RestClient::finish(void* easy, int result) {
  const auto found = running_.find(easy);
  if (found == running_.end()) return;
  const std::unique_ptr<Transfer> transfer = std::move(found->second);
  running_.erase(found);
  RestResponse response;
  if (result == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    response.status = static_cast<int>(status);
    response.body = std::move(transfer->answer);
    const char* type = nullptr;
    curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
    if (type != nullptr) response.type = type;
    response.etag = header_of(easy, "etag");
    const char* location = nullptr;
    curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &location);
    if (location != nullptr) response.location = location;
  } else {
    TransferFailure failure;
    response.too_long = transfer->too_long;
    failure.curl_code = transfer->too_long ? CURLE_RECV_ERROR : result;
    double handshaken = 0;
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &failure.os_errno);
    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &failure.connect_code);
    curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME, &handshaken);
    failure.connected = transfer->connected();
    failure.via_proxy = !transfer->config.proxy.empty();
    failure.proxy_step = failure.via_proxy && failure.connect_code != 200 && handshaken == 0;
    const std::string_view text = transfer->error.data();
    failure.detail = text.empty() ? curl_easy_strerror(static_cast<CURLcode>(result)) : text;
    response.detail = std::string(failure.detail);
    response.failure = classify_transfer(failure);
  }
  curl_multi_remove_handle(multi_, easy);
  transfer->done(std::move(response));
}

void RestClient::body() {
  pthread_setname_np(pthread_self(), "rest");
  while (!stopping_) {
    std::vector<std::unique_ptr<Transfer>> incoming;
    std::vector<std::uint64_t> cancelled;
    {
      const std::lock_guard lock(mutex_);
      incoming.swap(incoming_);
      cancelled.swap(cancelled_);
    }
    for (auto& transfer : incoming) begin(std::move(transfer));
    for (const std::uint64_t id : cancelled) {
      const auto found = std::find_if(running_.begin(), running_.end(),
                                      [id](const auto& entry) { return entry.second->id == id; });
      if (found == running_.end()) continue;
      curl_multi_remove_handle(multi_, found->first);
      running_.erase(found);
    }
    int active = 0;
    curl_multi_perform(multi_, &active);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg == CURLMSG_DONE) {
        void* easy = message->easy_handle;
        finish(easy, message->data.result);
      }
    }
    curl_multi_poll(multi_, nullptr, 0, 1000, nullptr);
  }
}

}  // namespace conclave::control
