// SPDX-License-Identifier: Apache-2.0
#include "control/web/portal.h"

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "control/access/password.h"
#include "control/phone/wav.h"
#include "control/rpc/dispatcher.h"

namespace conclave::control::web {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kCookie = "__Host-session";

std::string cookie_header(const std::string& token, bool clear) {
  return std::string(kCookie) + "=" + token + "; Path=/; Secure; HttpOnly; SameSite=Strict" +
         (clear ? "; Max-Age=0" : "");
}

Response json_response(int status, const Json& json) {
  return Response::json(status, dump_json(json));
}

bool is_json(std::string_view content_type) {
  return content_type.substr(0, content_type.find(';')) == "application/json";
}

}  // namespace

Portal::Portal(Phone& phone, StaticFiles files) : phone_(&phone), files_(std::move(files)) {}

Portal::~Portal() { slow_.stop(); }

void Portal::handle(const Request& request, Respond respond) {
  const std::string token = cookie_value(request.cookie, kCookie);
  const bool get = request.method != Method::kPost;
  struct Route {
    std::string_view path;
    bool get;
  };
  static constexpr Route kRoutes[] = {{"/api/v1/login", false},
                                      {"/api/v1/logout", false},
                                      {"/api/v1/session", true},
                                      {"/api/v1/recordings/raw.wav", true},
                                      {"/api/v1/recordings/sent.wav", true},
                                      {"/api/v1/openapi.json", true},
                                      {"/metrics", true}};
  const auto* route = std::find_if(std::begin(kRoutes), std::end(kRoutes),
                                   [&](const Route& r) { return r.path == request.path; });
  if (route == std::end(kRoutes)) {
    if (!get) return respond(Response::error(405, "this path takes no POST"));
    return respond(files_.serve(request));
  }
  if (route->get != get) {
    Response refused = Response::error(405, "this path does not take the method");
    refused.headers.emplace_back("allow", route->get ? "GET, HEAD" : "POST");
    return respond(std::move(refused));
  }
  if (request.path == "/api/v1/login") return login(request, respond);
  if (request.path == "/api/v1/openapi.json") {
    return respond(Response::json(
        200, openapi_document(phone_->state().snapshot()->state.at("device").at("version"))));
  }
  if (request.path == "/metrics") return metrics(request, respond);
  if (request.path == "/api/v1/logout") {
    phone_->sessions().close(token);
    Response done = Response::json(200, "{}");
    done.headers.emplace_back("set-cookie", cookie_header("", true));
    return respond(std::move(done));
  }
  const auto session = phone_->sessions().find(token, true);
  if (!session) return respond(Response::error(401, "log in first"));
  if (request.path == "/api/v1/session") {
    return respond(
        json_response(200, {{"user", session->user},
                            {"role", "admin"},
                            {"must_change_password", phone_->accounts().must_change_password()}}));
  }
  recording(request, request.path == "/api/v1/recordings/raw.wav", respond);
}

void Portal::login(const Request& request, const Respond& respond) {
  if (!is_json(request.content_type)) {
    return respond(Response::error(415, "send application/json"));
  }
  const Json body = parse_json(request.body, 4);
  if (!body.is_object() || !body.contains("user") || !body["user"].is_string() ||
      !body.contains("password") || !body["password"].is_string()) {
    return respond(Response::error(400, "send user and password"));
  }
  const auto locked = [respond](int seconds) {
    Response refused = json_response(429, {{"error",
                                            {{"message", "Too many wrong passwords. Try again in " +
                                                             std::to_string(seconds) + " s."}}}});
    refused.headers.emplace_back("retry-after", std::to_string(seconds));
    respond(std::move(refused));
  };
  if (const int wait = lockout_.wait_seconds(request.address); wait > 0) return locked(wait);
  slow_.post([this, respond, locked, address = request.address,
              user = body["user"].get<std::string>(),
              password = body["password"].get<std::string>()] {
    // Others from this address may have failed while this one waited.
    if (const int wait = lockout_.wait_seconds(address); wait > 0) return locked(wait);
    if (user.size() > 128 || password.size() > 128 || !phone_->accounts().check(user, password)) {
      lockout_.failed(address);
      log::warning("web", "login refused", {{"address", address}});
      return respond(json_response(401, {{"error", {{"message", "Wrong name or password."}}}}));
    }
    lockout_.succeeded(address);
    const std::string token = phone_->sessions().open(user, address);
    if (token.empty()) return respond(Response::error(500, "no random numbers"));
    log::info("web", "login", {{"address", address}});
    Response welcome =
        json_response(200, {{"user", user},
                            {"role", "admin"},
                            {"must_change_password", phone_->accounts().must_change_password()}});
    welcome.headers.emplace_back("set-cookie", cookie_header(token, false));
    respond(std::move(welcome));
  });
}

void Portal::recording(const Request& request, bool raw, const Respond& respond) {
  AudioPort* audio = phone_->audio();
  if (audio == nullptr) return respond(Response::error(404, "there is no sound card"));
  double seconds = 20;
  const std::string text = query_value(request.query, "seconds");
  if (!text.empty()) {
    int whole = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), whole);
    if (ec != std::errc{} || end != text.data() + text.size() || whole < 1 || whole > 30) {
      return respond(Response::error(400, "seconds must be from 1 to 30"));
    }
    seconds = whole;
  }
  slow_.post([audio, seconds, raw, respond] {
    const AudioPort::Recording copy = audio->recording(seconds);
    Response response;
    response.content_type = "audio/wav";
    response.body = std::make_shared<const std::string>(
        wav_file(raw ? copy.raw : copy.sent, copy.sample_rate > 0 ? copy.sample_rate : 48000));
    response.headers = {{"cache-control", "no-store"}};
    respond(std::move(response));
  });
}

void Portal::metrics(const Request& request, const Respond& respond) {
  const std::string token = phone_->settings().get_text(Key::kWebMetricsToken);
  const bool bearer =
      !token.empty() && equal_constant_time(request.authorization, "Bearer " + token);
  if (!bearer && !phone_->sessions().find(cookie_value(request.cookie, kCookie), true)) {
    Response refused = Response::error(401, "log in or send the token of Web.Metrics.Token");
    refused.headers.emplace_back("www-authenticate", "Bearer");
    return respond(std::move(refused));
  }
  phone_->loop().post([this, respond] {
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = std::make_shared<const std::string>(phone_->prometheus());
    response.headers = {{"cache-control", "no-store"}};
    respond(std::move(response));
  });
}

int Portal::accept_socket(const Request& request) {
  return phone_->sessions().find(cookie_value(request.cookie, kCookie), true) ? 0 : 401;
}

void Portal::message(const std::string& session, const std::string& address, std::string text,
                     std::function<void(std::string)> reply) {
  // A page that is left open keeps itself alive by ping; only what a person does is activity.
  const bool activity = text.find("\"ping\"") == std::string::npos;
  const auto found = phone_->sessions().find(session, activity);
  if (!found) return reply(dump_json(rpc_error(nullptr, kRpcFailed, "log in first")));
  phone_->handle(std::move(text), {found->user, session, address}, std::move(reply));
}

bool Portal::session_alive(const std::string& session) {
  return phone_->sessions().find(session, false).has_value();
}

}  // namespace conclave::control::web
