// SPDX-License-Identifier: Apache-2.0
#include "service/janus/janus_api.h"

#include <curl/curl.h>

#include <utility>

namespace conclave::service {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxAnswerBytes = 1024 * 1024;
constexpr long kPollSeconds = 40;  // Janus answers after 30 s at the latest

std::size_t collect(char* data, std::size_t size, std::size_t count, void* user) {
  auto* text = static_cast<std::string*>(user);
  const std::size_t bytes = size * count;
  if (text->size() + bytes > kMaxAnswerBytes) return 0;
  text->append(data, bytes);
  return bytes;
}

int progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(user)->load() ? 1 : 0;
}

}  // namespace

struct JanusApi::State {
  CURL* curl = curl_easy_init();
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/json");
  std::string body{};
  std::string answer{};
  ~State() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
  }
};

JanusApi::JanusApi(std::string url, std::string secret)
    : url_(std::move(url)), secret_(std::move(secret)), state_(std::make_unique<State>()) {
  CURL* curl = state_->curl;
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 1000L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &collect);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &state_->answer);
}

JanusApi::~JanusApi() = default;

Result<json> JanusApi::perform() {
  state_->answer.clear();
  const CURLcode code = curl_easy_perform(state_->curl);
  if (code != CURLE_OK) {
    return Error{std::string("Janus does not answer: ") + curl_easy_strerror(code)};
  }
  json answer = json::parse(state_->answer, nullptr, /*allow_exceptions=*/false);
  if (answer.is_discarded()) return Error{"Janus answered with something that is no JSON"};
  return answer;
}

Result<json> JanusApi::post(const std::string& path, json message, int timeout_ms) {
  if (!message.contains("transaction")) message["transaction"] = "r" + std::to_string(next_++);
  message["apisecret"] = secret_;
  state_->body = message.dump();
  CURL* curl = state_->curl;
  curl_easy_setopt(curl, CURLOPT_URL, (url_ + path).c_str());
  curl_easy_setopt(curl, CURLOPT_POST, 1L);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, state_->body.c_str());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(state_->body.size()));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, state_->headers);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
  auto answer = perform();
  if (!answer) return answer;
  if (!answer->is_object() || answer->value("janus", "") == "error") {
    const auto error = answer->is_object() ? answer->value("error", json::object()) : json();
    return Error{"Janus refused: " +
                 (error.is_object() ? error.value("reason", "unknown") : std::string("unknown"))};
  }
  return answer;
}

Result<json> JanusApi::poll(std::uint64_t session, const std::atomic<bool>& stop) {
  CURL* curl = state_->curl;
  const std::string url = url_ + "/" + std::to_string(session) + "?maxev=10&apisecret=" + secret_;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, kPollSeconds);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, const_cast<std::atomic<bool>*>(&stop));
  auto answer = perform();
  if (answer && answer->is_object()) return json::array({*answer});
  return answer;
}

}  // namespace conclave::service
