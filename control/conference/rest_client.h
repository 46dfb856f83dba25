// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace conclave::control {

struct RestRequest {
  std::string method = "GET";
  std::string url;    ///< https
  std::string token;  ///< bearer; never logged
  std::string body;   ///< JSON; empty: none
  std::chrono::milliseconds timeout{15000};
  std::string accept = "application/json";
  std::string etag{};                  ///< for If-None-Match, with its quotes; empty: none
  std::size_t max_answer = 64 * 1024;  ///< bytes
  bool follow = true;                  ///< redirects; otherwise see RestResponse::location
};
struct RestResponse {
  int status = 0;  ///< 0: no answer; see failure
  std::string body;
  std::string type;              ///< Content-Type; empty: none
  std::string etag;              ///< with its quotes; empty: none
  std::string location;          ///< absolute, of a redirect that was not followed
  bool too_long = false;         ///< failure because of RestRequest::max_answer
  std::optional<Error> failure;  ///< of the catalogue
  std::string detail;            ///< libcurl's own words, for the log
};

/// How the service is reached.
struct RestConfig {
  std::string ca_file;      ///< PEM; empty: the CAs of the system
  bool system_cas = false;  ///< with `ca_file`: the CAs of the system besides
  std::string cert_file;    ///< PEM with certificate and key; empty: none
  std::string proxy;        ///< http://host:port; empty: none
  std::string proxy_user, proxy_password;
  std::string user_agent = "Conclave";
};

/// HTTPS requests by libcurl, any number at a time, on one thread of its own. The server's
/// certificate and name are always verified. At most RestRequest::max_answer bytes of answer and
/// five redirects, https only, and a token never follows to another host.
class RestClient {
 public:
  using Done = std::function<void(RestResponse)>;
  RestClient();
  ~RestClient();  ///< drops what runs; their callbacks are not called
  RestClient(const RestClient&) = delete;
  RestClient& operator=(const RestClient&) = delete;

  void configure(const RestConfig& config);
  /// `done` is called on the client's thread. Any thread.
  std::uint64_t send(RestRequest request, Done done);
  /// `done` will not be called any more, unless it is running right now. Any thread.
  void cancel(std::uint64_t id);

 private:
  struct Transfer;
  void body();
  void begin(std::unique_ptr<Transfer> transfer);
  void finish(void* easy, int result);

  void* multi_;
  std::mutex mutex_;
  RestConfig config_;
  std::vector<std::unique_ptr<Transfer>> incoming_;
  std::vector<std::uint64_t> cancelled_;
  std::uint64_t next_id_ = 1;
  std::atomic<bool> stopping_{false};
  std::map<void*, std::unique_ptr<Transfer>> running_;  // client's thread
  std::thread thread_;
};

}  // namespace conclave::control
