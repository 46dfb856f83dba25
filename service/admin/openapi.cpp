// SPDX-License-Identifier: Apache-2.0
#include "service/admin/openapi.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "service/fault_desk.h"

namespace conclave::service {
namespace {

using nlohmann::json;
using Door = Operation::Door;

constexpr Operation kOperations[] = {
    {"post", "~/activation", Door::kOpen, "Activate a phone by its PIN", "Activation", "Token"},
    {"delete", "~/activation", Door::kPhone, "End the activation whose token is shown", "", ""},
    {"post", "~/login", Door::kOpen, "Log in", "Login", "Session"},
    {"post", "~/token", Door::kPhone, "A new token of the same session", "Anything", "Session"},
    {"post", "~/conferences/join", Door::kPhone, "Join by passcode, and e-mail where needed",
     "Join", "Joined"},
    {"get", "~/conferences/{conference}/roster", Door::kPhone,
     "Who is there; with since and wait as soon as that changes", "", "Roster", "since wait"},
    {"post", "~/conferences/{conference}/mute", Door::kPhone,
     "Mute all but chairpersons; for the chairperson", "Mute", "Mute"},
    {"post", "~/conferences/{conference}/participants/{participant}/mute", Door::kPhone,
     "Mute the own line, or any for the chairperson", "Mute", "Mute"},
    {"delete", "~/conferences/{conference}/participants/{participant}", Door::kPhone,
     "Leave, or remove somebody for the chairperson", "", ""},
    {"post", "~/conferences/{conference}/dialout", Door::kPhone,
     "Have somebody called in; for the chairperson", "DialOut", "DialledOut"},
    {"post", "~/conferences/{conference}/operator", Door::kPhone,
     "Ask for an operator on a line, or take it back", "Operator", ""},
    {"post", "~/conferences/{conference}/recording", Door::kPhone,
     "Begin or end the recording; for the chairperson", "Recording", "Recording"},
    {"get", "/admin", Door::kOpen, "The administrator's page", "", "Page"},
    {"get", "/admin/admin.css", Door::kOpen, "Its style", "", "Page"},
    {"get", "/admin/admin.js", Door::kOpen, "Its script", "", "Page"},
    {"get", "/openapi.json", Door::kOpen, "This document", "", "Anything"},
    {"get", "/admin/health", Door::kAdministrator, "How the service is", "", "Health"},
    {"get", "/admin/meetings", Door::kAdministrator, "All meetings and who is in them", "",
     "Meetings"},
    {"post", "/admin/meetings/{meeting}", Door::kAdministrator, "Make or change a meeting",
     "Meeting", "Meeting"},
    {"delete", "/admin/meetings/{meeting}", Door::kAdministrator,
     "Delete a meeting; who is in it is hung up", "", ""},
    {"post", "/admin/meetings/{meeting}/mute", Door::kAdministrator,
     "Mute all but chairpersons, or let them speak", "Mute", "Mute"},
    {"post", "/admin/meetings/{meeting}/participants/{participant}/mute", Door::kAdministrator,
     "Mute a line", "Mute", "Mute"},
    {"delete", "/admin/meetings/{meeting}/participants/{participant}", Door::kAdministrator,
     "Remove somebody", "", ""},
    {"get", "/admin/phones", Door::kAdministrator, "All phones that are known or were seen", "",
     "Phones"},
    {"post", "/admin/phones/{serial}", Door::kAdministrator,
     "Set a phone's state alone, or write it down with a PIN", "Phone", "State"},
    {"get", "/admin/phones/{serial}/report", Door::kAdministrator,
     "What the phone has reported of its configurations, newest first", "", "Reports"},
    {"post", "/admin/phones/{serial}/resync", Door::kAdministrator,
     "Have the phone look for a new configuration", "Anything", "Resync"},
    {"get", "/admin/phones/{serial}/configuration", Door::kAdministrator,
     "The device configuration", "", "Configuration"},
    {"post", "/admin/phones/{serial}/configuration", Door::kAdministrator,
     "Change it; members left out stay", "Configuration", "Configuration"},
    {"delete", "/admin/phones/{serial}/configuration", Door::kAdministrator, "Delete it", "", ""},
    {"get", "/admin/provisioning", Door::kAdministrator, "What is provisioned", "", "Anything"},
    {"get", "/admin/provisioning/{part}/{name}", Door::kAdministrator,
     "A configuration file or CA certificate; part: models, sites or cas", "", "Text"},
    {"post", "/admin/provisioning/{part}/{name}", Door::kAdministrator, "Write it", "Text",
     "Anything"},
    {"delete", "/admin/provisioning/{part}/{name}", Door::kAdministrator, "Delete it", "", ""},
    {"get", "/admin/provisioning/providers", Door::kAdministrator, "Providers to choose from", "",
     "Providers"},
    {"post", "/admin/provisioning/providers", Door::kAdministrator, "Change them", "Providers",
     "Providers"},
    {"get", "/console/redirect", Door::kDevice, "Where this phone is provisioned", "", "Providers"},
    {"post", "/console/redirect", Door::kDevice, "Choose a provider", "Anything", "Anything"},
    {"get", "/provisioning/{serial}/{file}", Door::kDevice, "A configuration file", "", "File"},
    {"post", "/provisioning/{serial}/report", Door::kDevice, "What came of a configuration",
     "Anything", ""},
    {"get", "/provisioning/{serial}/events", Door::kDevice,
     "Answers when there is something to look for", "", "Anything", "since wait"},
    {"get", "/provisioning/ca.pem", Door::kOpen, "The service's CA", "", "File"},
    {"get", "/provisioning/ca/{file}", Door::kOpen, "Further CAs", "", "File"},
    {"delete", "/admin/phones/{serial}", Door::kAdministrator,
     "Forget what has happened to a phone; what conferences.json says counts again", "", ""},
    {"get", "/admin/operator", Door::kAdministrator, "Lines that wait for an operator", "",
     "OperatorLines"},
    {"delete", "/admin/operator/{participant}", Door::kAdministrator, "One of them is done", "",
     ""},
    {"get", "/admin/faults", Door::kAdministrator, "Faults on order, and which can be ordered", "",
     "Faults"},
    {"post", "/admin/faults", Door::kAdministrator, "Order a fault", "Fault", "Fault"},
    {"delete", "/admin/faults/{number}", Door::kAdministrator, "Take an order back", "", ""},
    {"delete", "/admin/faults", Door::kAdministrator, "Take all orders back", "", ""},
};

json text(const char* description = nullptr) {
  json out{{"type", "string"}};
  if (description != nullptr) out["description"] = description;
  return out;
}
json flag() { return {{"type", "boolean"}}; }
json whole() { return {{"type", "integer"}}; }
json choice(std::initializer_list<const char*> values) {
  return {{"type", "string"}, {"enum", values}};
}
json list(json of) { return {{"type", "array"}, {"items", std::move(of)}}; }
json map(json of) { return {{"type", "object"}, {"additionalProperties", std::move(of)}}; }
json object(json properties, std::initializer_list<const char*> required = {}) {
  json out{{"type", "object"}, {"properties", std::move(properties)}};
  if (required.size() > 0) out["required"] = required;
  return out;
}
json schema_of(std::string_view name) {
  return {{"$ref", "#/components/schemas/" + std::string(name)}};
}

json schemas() {
  const json role = choice({"chairperson", "participant"});
  const json state = choice({"active", "inactive", "deactivated"});
  json fault_ids = json::array();
  for (const auto& kind : FaultDesk::kinds()) fault_ids.push_back(kind.id);
  json stages = json::array();
  for (const auto& kind : FaultDesk::kinds()) {
    const json stage = to_string(kind.stage);
    if (std::find(stages.begin(), stages.end(), stage) == stages.end()) stages.push_back(stage);
  }
  const json in_roster{{"name", text()},
                       {"role", role},
                       {"muted", flag()},
                       {"talking", flag()},
                       {"kind", choice({"called", "operator"})},
                       {"call", choice({"dialing", "ringing", "failed"})},
                       {"error", text("of the error catalogue")},
                       {"operator_asked", flag()}};
  const json sip{
      {"uri", text()}, {"host", text()}, {"port", whole()}, {"transport", choice({"tls"})}};
  json sip_with_others = sip;
  sip_with_others["alternatives"] = list(object(sip));
  json in_meeting = in_roster;
  in_meeting.update({{"present", flag()}, {"phone", text("serial number")}});
  const json meeting{{"title", text()},
                     {"chairperson_passcode", text("digits")},
                     {"participant_passcode", text("digits")},
                     {"email_required", flag()},
                     {"emails", list(text())},
                     {"self_mute", flag()},
                     {"dial_out", flag()},
                     {"operator", flag()},
                     {"recording", flag()}};
  json listed = meeting;
  listed.update({{"id", text()},
                 {"declared", flag()},
                 {"all_muted", flag()},
                 {"participants", map(object(in_meeting))}});
  const json pin{{"pin", text("4 to 32 letters, digits or '-'")},
                 {"pin_expires", text("the last day, as 2027-03-31")},
                 {"certificate_sha256", text("of the client certificate's DER form")}};
  json phone = pin;
  phone.update(
      {{"state", state},
       {"by_pin", flag()},
       {"known", flag()},
       {"declared", flag()},
       {"since", whole()},
       {"seen",
        object({{"at", whole()}, {"from", text()}, {"model", text()}, {"version", text()}})}});
  phone["report"] = object({{"at", whole()}, {"kind", text()}});
  json phone_wanted = pin;
  phone_wanted["state"] = state;
  const json fault{{"id", {{"type", "string"}, {"enum", fault_ids}}},
                   {"phone", text("serial number; absent: every phone")},
                   {"count", {{"type", "integer"}, {"minimum", 1}, {"maximum", 1000}}},
                   {"stage", {{"type", "string"}, {"enum", stages}}},
                   {"number", whole()}};
  const json error = object({{"id", text("of the error catalogue")},
                             {"message", text()},
                             {"detail", object({{"id", text()}, {"message", text()}})}},
                            {"id", "message"});
  const json device{{"serial", text()}, {"model", text()}, {"version", text()}};
  json login = device;
  login.update({{"display_name", text()}, {"activation", text("the activation's token")}});
  json activation = device;
  activation["pin"] = text();
  return {
      {"Anything", {{"type", "object"}}},
      {"Error", object({{"error", error}}, {"error"})},
      {"Activation", object(activation, {"serial", "pin"})},
      {"Token", object({{"token", text()}}, {"token"})},
      {"Login", object(login, {"serial"})},
      {"Session", object({{"token", text()}, {"expires_in", whole()}}, {"token", "expires_in"})},
      {"Join",
       object({{"passcode", text()}, {"email", text()}, {"display_name", text()}}, {"passcode"})},
      {"Joined", object({{"conference", object({{"id", text()}, {"title", text()}})},
                         {"participant", object({{"id", text()}, {"role", role}})},
                         {"sip", object(sip_with_others)},
                         {"tunnel", object({{"host", text()},
                                            {"port", whole()},
                                            {"probe_port", whole()},
                                            {"username", text()},
                                            {"password", text()}})}})},
      {"Roster", object({{"rev", whole()},
                         {"participants", map(object(in_roster))},
                         {"muted_all", flag()},
                         {"recording", object({{"since_ms", whole()}})}})},
      {"DialOut", object({{"to", text("number or SIP address")}, {"name", text()}}, {"to"})},
      {"DialledOut", object({{"participant", text()}}, {"participant"})},
      {"Operator", object({{"participant", text("absent: the own line")}, {"asked", flag()}})},
      {"Recording", object({{"recording", flag()}}, {"recording"})},
      {"OperatorLines", object({{"lines", list(object({{"participant", text()},
                                                       {"conference", text()},
                                                       {"name", text()},
                                                       {"serial", text()}}))}})},
      {"Mute", object({{"muted", flag()}}, {"muted"})},
      {"Health",
       object({{"version", text()},
               {"uptime_s", whole()},
               {"meetings", whole()},
               {"participants", whole()},
               {"sip_port", whole()},
               {"mixer",
                object({{"running", flag()}, {"restarts", whole()}, {"participants", whole()}})}})},
      {"Meeting", object(meeting, {"title", "chairperson_passcode", "participant_passcode"})},
      {"Meetings", object({{"meetings", list(object(listed))}})},
      {"Phone", object(phone_wanted)},
      {"State", object({{"state", state}})},
      {"Phones", object({{"phones", map(object(phone))}})},
      {"Reports",
       object(
           {{"reports",
             list(object({{"received", whole()}, {"verdict", text()}, {"revision", whole()}}))}})},
      {"Resync", object({{"sip", flag()}, {"waiting", flag()}})},
      {"Configuration", object({{"provider", text()},
                                {"site", text()},
                                {"absent", choice({"default", "keep"})},
                                {"parameters", {{"type", "object"}}},
                                {"locks", list(text())},
                                {"revision", whole()}})},
      {"Text", object({{"text", text()}}, {"text"})},
      {"Providers",
       object(
           {{"providers", list(object({{"id", text()}, {"name", text()}, {"address", text()}}))}})},
      {"Fault", object(fault, {"id"})},
      {"Faults",
       object({{"orders", list(object(fault))},
               {"kinds", list(object({{"id", text()}, {"stage", text()}, {"message", text()}}))}})},
  };
}

json operation_of(const Operation& op) {
  json out{{"summary", op.summary}};
  json& responses = out["responses"];
  if (op.answer == "Page" || op.answer == "File") {
    responses["200"] = {{"description", op.answer == "Page" ? "for a browser" : "text"}};
  } else if (op.answer.empty()) {
    responses["204"] = {{"description", "done"}};
  } else {
    responses["200"] = {{"description", "done"},
                        {"content", {{"application/json", {{"schema", schema_of(op.answer)}}}}}};
  }
  responses["default"] = {
      {"description", "refused; id and status as docs/service-protocol.md says"},
      {"content", {{"application/json", {{"schema", schema_of("Error")}}}}}};
  if (!op.body.empty()) {
    out["requestBody"] = {{"required", true},
                          {"content", {{"application/json", {{"schema", schema_of(op.body)}}}}}};
  }
  if (op.door != Door::kOpen) {
    const char* scheme = op.door == Door::kPhone    ? "phone"
                         : op.door == Door::kDevice ? "device"
                                                    : "administrator";
    out["security"] = json::array({{{scheme, json::array()}}});
  }
  json parameters = json::array();
  for (std::string_view rest = op.path; rest.find('{') != std::string_view::npos;) {
    rest.remove_prefix(rest.find('{') + 1);
    parameters.push_back({{"name", rest.substr(0, rest.find('}'))},
                          {"in", "path"},
                          {"required", true},
                          {"schema", {{"type", "string"}}}});
  }
  for (std::string_view rest = op.query; !rest.empty();) {
    const auto end = rest.find(' ');
    parameters.push_back({{"name", rest.substr(0, end)}, {"in", "query"}, {"schema", whole()}});
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  return out;
}

std::string build() {
  json paths = json::object();
  for (const auto& op : kOperations) {
    std::string path(op.path);
    if (path.front() == '~') path = CONCLAVE_CALL_CONTROL_PATH + path.substr(1);
    paths[path][std::string(op.method)] = operation_of(op);
  }
  const auto bearer = [](const char* description) {
    return json{{"type", "http"}, {"scheme", "bearer"}, {"description", description}};
  };
  return json{
      {"openapi", "3.1.0"},
      {"info", {{"title", "Conclave conference service"}, {"version", CONCLAVE_VERSION}}},
      {"servers", json::array({{{"url", "/"}}})},
      {"paths", std::move(paths)},
      {"components",
       {{"schemas", schemas()},
        {"securitySchemes",
         {{"phone", bearer("the token of a login, or of an activation to end it")},
          {"device", {{"type", "mutualTLS"}, {"description", "the phone's device certificate"}}},
          {"administrator", bearer("the content of DIR/admin.token")}}}}}}
      .dump(1);
}

}  // namespace

std::span<const Operation> operations() { return kOperations; }

const std::string& openapi_document() {
  static const std::string document = build();
  return document;
}

}  // namespace conclave::service
