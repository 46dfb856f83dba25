// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "control/web/portal.h"

namespace conclave::control::web {
namespace {

using Json = nlohmann::json;

Json answer(const std::string& text) { return {{"description", text}}; }

Json json_answer(const std::string& text, Json schema) {
  return {{"description", text},
          {"content", {{"application/json", {{"schema", std::move(schema)}}}}}};
}

Json operation(const std::string& summary, Json responses, bool session) {
  Json out{{"summary", summary}, {"responses", std::move(responses)}};
  if (session) {
    out["security"] = Json::array({{{"session", Json::array()}}});
    out["responses"]["401"] = answer("not logged in");
  }
  return out;
}

}  // namespace

std::string openapi_document(const std::string& version) {
  const Json text{{"type", "string"}};
  const Json session{
      {"type", "object"},
      {"properties",
       {{"user", text}, {"role", text}, {"must_change_password", {{"type", "boolean"}}}}},
      {"required", {"user", "role", "must_change_password"}}};
  const Json credentials{{"type", "object"},
                         {"properties", {{"user", text}, {"password", text}}},
                         {"required", {"user", "password"}}};
  Json login = operation("Log in; sets the cookie __Host-session",
                         {{"200", json_answer("logged in", session)},
                          {"401", answer("wrong name or password")},
                          {"429", answer("too many wrong passwords; see Retry-After")}},
                         false);
  login["requestBody"] = {{"required", true},
                          {"content", {{"application/json", {{"schema", credentials}}}}}};
  const auto recording = [](const std::string& what) {
    Json out = operation(
        "The last seconds of " + what,
        {{"200",
          {{"description", "WAV, mono, 16 bits"}, {"content", {{"audio/wav", Json::object()}}}}},
         {"400", answer("seconds is not from 1 to 30")},
         {"404", answer("no sound card")}},
        true);
    out["parameters"] = Json::array(
        {{{"name", "seconds"},
          {"in", "query"},
          {"schema", {{"type", "integer"}, {"minimum", 1}, {"maximum", 30}, {"default", 20}}}}});
    return out;
  };
  Json metrics =
      operation("Figures in Prometheus' text format", {{"200", answer("figures")}}, true);
  metrics["security"].push_back({{"bearer", Json::array()}});
  const Json document{
      {"openapi", "3.1.0"},
      {"info", {{"title", "Conclave phone"}, {"version", version}}},
      {"paths",
       {{"/api/v1/login", {{"post", login}}},
        {"/api/v1/logout", {{"post", operation("Log out", {{"200", answer("done")}}, false)}}},
        {"/api/v1/session",
         {{"get",
           operation("Who is logged in", {{"200", json_answer("a session", session)}}, true)}}},
        {"/api/v1/socket",
         {{"get", operation("WebSocket, subprotocol conclave.v1: JSON-RPC 2.0, state and meters",
                            {{"101", answer("open")},
                             {"403", answer("foreign Origin")},
                             {"426", answer("WebSocket version 13 only")}},
                            true)}}},
        {"/api/v1/recordings/raw.wav", {{"get", recording("the first microphone")}}},
        {"/api/v1/recordings/sent.wav", {{"get", recording("what was sent")}}},
        {"/api/v1/openapi.json",
         {{"get", operation("This document", {{"200", answer("the document")}}, false)}}},
        {"/metrics", {{"get", metrics}}}}},
      {"components",
       {{"securitySchemes",
         {{"session", {{"type", "apiKey"}, {"in", "cookie"}, {"name", "__Host-session"}}},
          {"bearer", {{"type", "http"}, {"scheme", "bearer"}}}}}}}};
  return document.dump(1);
}

}  // namespace conclave::control::web
