// SPDX-License-Identifier: Apache-2.0
#include "apps/far_end/rest_client.h"

#include <curl/curl.h>

#include <mutex>
#include <utility>

namespace conclave::apps {
namespace {

namespace protocol = service::protocol;

std::size_t collect(char* data, std::size_t size, std::size_t count, void* user) {
  auto* text = static_cast<std::string*>(user);
  const std::size_t bytes = size * count;
  if (text->size() + bytes > protocol::kMaxBodyBytes) return 0;
  text->append(data, bytes);
  return bytes;
}

}  // namespace

struct RestClient::State {
  CURL* curl = nullptr;
  std::string answer{};
  ~State() { curl_easy_cleanup(curl); }
};

RestClient::RestClient(std::string address, std::string ca_file)
    : address_(std::move(address)),
      ca_file_(std::move(ca_file)),
      state_(std::make_unique<State>()) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  state_->curl = curl_easy_init();
}

RestClient::~RestClient() = default;

Result<std::string> RestClient::ask(const char* method, const std::string& path,
                                    const std::string& body, int timeout_s) {
  CURL* curl = state_->curl;
  state_->answer.clear();
  curl_easy_reset(curl);
  curl_slist* headers = nullptr;
  if (!body.empty()) headers = curl_slist_append(headers, "Content-Type: application/json");
  if (!token_.empty()) {
    headers = curl_slist_append(headers, ("Authorization: Bearer " + token_).c_str());
  }
  curl_easy_setopt(curl, CURLOPT_URL, (address_ + path).c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file_.c_str());
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, static_cast<long>(timeout_s));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &collect);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &state_->answer);
  if (!body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
  }
  const CURLcode code = curl_easy_perform(curl);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_slist_free_all(headers);
  if (code != CURLE_OK) {
    return Error{"The service at " + address_ + " does not answer: " + curl_easy_strerror(code)};
  }
  if (status >= 200 && status < 300) return state_->answer;
  const auto error = protocol::parse_error(state_->answer);
  if (error) return Error{error->message, error->id};
  return Error{"The service answered with status " + std::to_string(status)};
}

Status RestClient::login(const protocol::LoginRequest& request) {
  token_.clear();
  CONCLAVE_TRY(const auto answer, ask("POST", protocol::login_path(), to_json(request)));
  CONCLAVE_TRY(const auto response, protocol::parse_login_response(answer));
  token_ = response.token;
  return {};
}

Result<protocol::JoinResponse> RestClient::join(const protocol::JoinRequest& request) {
  CONCLAVE_TRY(const auto answer, ask("POST", protocol::join_path(), to_json(request)));
  return protocol::parse_join_response(answer);
}

Status RestClient::mute(const std::string& conference, const std::string& participant, bool muted) {
  const auto answer = ask("POST", protocol::mute_path(conference, participant),
                          to_json(protocol::MuteRequest{muted}));
  if (!answer) return answer.error();
  return {};
}

Status RestClient::mute_all(const std::string& conference, bool muted) {
  const auto answer =
      ask("POST", protocol::mute_all_path(conference), to_json(protocol::MuteRequest{muted}));
  if (!answer) return answer.error();
  return {};
}

Status RestClient::leave(const std::string& conference, const std::string& participant) {
  const auto answer = ask("DELETE", protocol::participant_path(conference, participant), "");
  if (!answer) return answer.error();
  return {};
}

Result<std::string> RestClient::command(const char* method, const std::string& path,
                                        const std::string& body) {
  return ask(method, path, body);
}

Result<protocol::Roster> RestClient::roster(const std::string& conference) {
  CONCLAVE_TRY(const auto answer, ask("GET", protocol::roster_path(conference), ""));
  return protocol::parse_roster(answer);
}

Result<protocol::Roster> RestClient::poll_roster(const std::string& conference, std::uint64_t since,
                                                 int wait_seconds) {
  CONCLAVE_TRY(const auto answer,
               ask("GET", protocol::roster_poll_path(conference, since, wait_seconds), "",
                   wait_seconds + 10));
  return protocol::parse_roster(answer);
}

}  // namespace conclave::apps
