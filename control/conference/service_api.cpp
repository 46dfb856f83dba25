// SPDX-License-Identifier: Apache-2.0
#include "control/conference/service_api.h"

#include "base/log.h"
#include "control/errors/catalogue.h"

namespace conclave::control {
namespace {

namespace protocol = service::protocol;

bool good(const RestResponse& response) { return response.status / 100 == 2; }

template <typename T, typename Parse>
ServiceResult<T> read(const RestResponse& response, std::string_view fallback, Parse&& parse) {
  if (!good(response)) return failure_of(response, fallback);
  Result<T> value = response.type.rfind("application/json", 0) == 0
                        ? parse(response.body)
                        : Result<T>(Error{"its type is " + response.type});
  if (value) return std::move(*value);
  log::warning("conference", "the service's answer cannot be read",
               {{"why", value.error().message}});
  ServiceFailure failure;
  failure.error = catalogue_error("JOIN-984");
  failure.reached = true;
  failure.retryable = true;
  return failure;
}

}  // namespace

ServiceFailure failure_of(const RestResponse& response, std::string_view fallback) {
  ServiceFailure failure;
  if (response.failure) {
    failure.error = *response.failure;
    const ErrorRow* row = find_error(failure.error.id);
    failure.retryable = row == nullptr || row->retryable;
    return failure;
  }
  failure.reached = true;
  if (response.status == 401) failure.token_rejected = true;
  if (auto body = protocol::parse_error(response.body); body && !body->id.empty()) {
    failure.error = {body->message, body->id};
    const ErrorRow* row = find_error(body->id);
    if (row != nullptr && failure.error.message.empty()) failure.error = catalogue_error(body->id);
    failure.retryable = row != nullptr && row->retryable;
    if (!body->detail_id.empty()) failure.detail = Error{body->detail_message, body->detail_id};
    return failure;
  }
  std::string_view id = fallback;
  if (response.status >= 300 && response.status < 400) id = "JOIN-982";
  if (response.status == 429 || response.status == 503) id = "JOIN-UNAVAILABLE";
  if (response.status == 500 || response.status == 502 || response.status == 504) id = "SVC-TEMP";
  failure.error = catalogue_error(id);
  const ErrorRow* row = find_error(id);
  failure.retryable = row != nullptr && row->retryable;
  return failure;
}

void RestServiceApi::set_base(const std::vector<std::string>& urls, std::chrono::seconds timeout) {
  std::vector<std::string> bases = urls;
  for (std::string& url : bases) {
    while (!url.empty() && url.back() == '/') url.pop_back();
  }
  if (bases != bases_) selected_ = 0;
  bases_ = std::move(bases);
  timeout_ = timeout;
}

void RestServiceApi::renew(const std::string& token, Done<protocol::LoginResponse> done) {
  send({.method = "POST", .url = {}, .token = token, .body = "{}", .timeout = timeout_},
       protocol::token_path(), [done = std::move(done)](const RestResponse& response) {
         done(read<protocol::LoginResponse>(response, "JOIN-UNABLE",
                                            protocol::parse_login_response));
       });
}

void RestServiceApi::send(RestRequest request, const std::string& path,
                          std::function<void(RestResponse)> on_loop) {
  request.url = address() + path;
  const std::string what = request.method + " " + path;
  client_->send(std::move(request), [loop = loop_, epoch = epoch_, asked = *epoch_, what,
                                     on_loop = std::move(on_loop)](RestResponse response) {
    loop->post([epoch, asked, what, on_loop, response = std::move(response)]() mutable {
      if (*epoch != asked) return;
      if (response.failure) {
        log::info("conference", "request failed",
                  {{"request", what}, {"id", response.failure->id}, {"why", response.detail}});
      }
      on_loop(std::move(response));
    });
  });
}

void RestServiceApi::login(const protocol::LoginRequest& request,
                           Done<protocol::LoginResponse> done) {
  send({.method = "POST", .url = {}, .token = {}, .body = to_json(request), .timeout = timeout_},
       protocol::login_path(), [done = std::move(done)](const RestResponse& response) {
         done(read<protocol::LoginResponse>(response, "JOIN-977", protocol::parse_login_response));
       });
}

void RestServiceApi::activate(const protocol::ActivationRequest& request,
                              Done<protocol::ActivationResponse> done) {
  send({.method = "POST", .url = {}, .token = {}, .body = to_json(request), .timeout = timeout_},
       protocol::activation_path(), [done = std::move(done)](const RestResponse& response) {
         // Here the guide gives each status a meaning of its own.
         const std::string by_status = "ACT-" + std::to_string(response.status);
         const bool explained =
             response.failure || good(response) || protocol::parse_error(response.body).ok();
         if (!explained && find_error(by_status) != nullptr) {
           ServiceFailure failure;
           failure.error = catalogue_error(by_status);
           failure.reached = true;
           failure.retryable = find_error(by_status)->retryable;
           return done(failure);
         }
         done(read<protocol::ActivationResponse>(response, "ACT-500",
                                                 protocol::parse_activation_response));
       });
}

void RestServiceApi::deactivate(const std::string& token, Done<bool> done) {
  send({.method = "DELETE", .url = {}, .token = token, .body = {}, .timeout = timeout_},
       protocol::activation_path(), [done = std::move(done)](const RestResponse& response) {
         if (good(response)) {
           done(true);
         } else {
           done(failure_of(response, "ACT-500"));
         }
       });
}

void RestServiceApi::join(const std::string& token, const protocol::JoinRequest& request,
                          Done<protocol::JoinResponse> done) {
  send({.method = "POST", .url = {}, .token = token, .body = to_json(request), .timeout = timeout_},
       protocol::join_path(), [done = std::move(done)](const RestResponse& response) {
         done(read<protocol::JoinResponse>(response,
                                           response.status == 404 ? "JOIN-NOTFOUND" : "JOIN-984",
                                           protocol::parse_join_response));
       });
}

void RestServiceApi::roster(const std::string& token, const std::string& conference,
                            std::optional<std::uint64_t> since, Done<protocol::Roster> done) {
  constexpr int kWait = 25;
  const std::string path = since ? protocol::roster_poll_path(conference, *since, kWait)
                                 : protocol::roster_path(conference);
  const std::chrono::seconds limit = since ? timeout_ + std::chrono::seconds(kWait) : timeout_;
  send({.method = "GET", .url = {}, .token = token, .body = {}, .timeout = limit}, path,
       [done = std::move(done)](const RestResponse& response) {
         done(read<protocol::Roster>(response, "CC-404", protocol::parse_roster));
       });
}

void RestServiceApi::mute(const std::string& token, const std::string& conference,
                          const std::string& participant, bool muted, Done<bool> done) {
  protocol::MuteRequest request;
  request.muted = muted;
  send({.method = "POST", .url = {}, .token = token, .body = to_json(request), .timeout = timeout_},
       protocol::mute_path(conference, participant),
       [done = std::move(done)](const RestResponse& response) {
         if (good(response)) {
           done(true);
         } else {
           done(failure_of(response, "CC-MUTE-SELF"));
         }
       });
}

void RestServiceApi::command(const std::string& token, const std::string& conference,
                             const MeetingCommand& command, Done<std::string> done) {
  using Verb = MeetingCommand::Verb;
  RestRequest request{.method = "POST", .url = {}, .token = token, .body = {}, .timeout = timeout_};
  std::string path;
  std::string_view fallback = "CC-404";
  switch (command.verb) {
    case Verb::kMute:
      path = protocol::mute_path(conference, command.participant);
      request.body = to_json(protocol::MuteRequest{command.on});
      fallback = "CC-MUTE-OTHER";
      break;
    case Verb::kMuteAll:
      path = protocol::mute_all_path(conference);
      request.body = to_json(protocol::MuteRequest{command.on});
      fallback = "CC-MUTE-ALL";
      break;
    case Verb::kEject:
      path = protocol::participant_path(conference, command.participant);
      request.method = "DELETE";
      fallback = "CC-EJECT";
      break;
    case Verb::kDialOut:
      path = protocol::dial_out_path(conference);
      request.body = to_json(protocol::DialOutRequest{command.to, command.name});
      fallback = "CC-DIALOUT";
      break;
    case Verb::kOperator:
      path = protocol::operator_path(conference);
      request.body = to_json(protocol::OperatorRequest{command.participant, command.on});
      fallback = "CC-OPERATOR";
      break;
    case Verb::kRecord:
      path = protocol::recording_path(conference);
      request.body = to_json(protocol::RecordRequest{command.on});
      fallback = "CC-RECORD";
      break;
  }
  send(std::move(request), path,
       [done = std::move(done), fallback, verb = command.verb](const RestResponse& response) {
         if (!good(response)) return done(failure_of(response, fallback));
         if (verb != Verb::kDialOut) return done(std::string());
         const auto called =
             read<protocol::DialOutResponse>(response, fallback, protocol::parse_dial_out_response);
         if (const auto* failure = std::get_if<ServiceFailure>(&called)) return done(*failure);
         done(std::get<protocol::DialOutResponse>(called).participant);
       });
}

void RestServiceApi::leave(const std::string& token, const std::string& conference,
                           const std::string& participant, Done<bool> done) {
  send({.method = "DELETE", .url = {}, .token = token, .body = {}, .timeout = timeout_},
       protocol::participant_path(conference, participant),
       [done = std::move(done)](const RestResponse& response) {
         if (good(response)) {
           done(true);
         } else {
           done(failure_of(response, "CC-404"));
         }
       });
}

}  // namespace conclave::control
