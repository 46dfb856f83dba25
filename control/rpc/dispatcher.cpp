// SPDX-License-Identifier: Apache-2.0
#include "control/rpc/dispatcher.h"

#include <algorithm>
#include <memory>
#include <optional>

namespace conclave::control {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kTypeNames[] = {"string", "bool", "number", "object"};

bool fits(const Json& value, RpcParam::Type type) {
  switch (type) {
    case RpcParam::Type::kString:
      return value.is_string();
    case RpcParam::Type::kBool:
      return value.is_boolean();
    case RpcParam::Type::kNumber:
      return value.is_number();
    case RpcParam::Type::kObject:
      return value.is_object();
  }
  return false;
}

}  // namespace

RpcFailure rpc_failure(const Error& error, Language language) {
  Json data = error_json(error, language);
  std::string message = data.value("message", error.message);
  return {kRpcFailed, std::move(message), std::move(data)};
}

Json parse_json(std::string_view text, int max_depth) {
  // The parser recurses by depth when it destroys values: count brackets outside of texts first.
  int depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_text) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_text = false;
      }
    } else if (c == '"') {
      in_text = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) return Json(Json::value_t::discarded);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return Json::parse(text, nullptr, false);
}

std::string dump_json(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json rpc_error(const Json& id, int code, const std::string& message, const Json& data) {
  Json error{{"code", code}, {"message", message}};
  if (!data.is_null()) error["data"] = data;
  return {{"jsonrpc", "2.0"}, {"id", id}, {"error", std::move(error)}};
}

void Dispatcher::add(const std::string& method, std::vector<RpcParam> params, std::string help,
                     Handler handler) {
  add_later(method, std::move(params), std::move(help),
            [handler = std::move(handler)](const Json& given, const RpcCaller& caller, Done done) {
              done(handler(given, caller));
            });
}

void Dispatcher::add_later(const std::string& method, std::vector<RpcParam> params,
                           std::string help, LaterHandler handler) {
  methods_[method] = {std::move(params), std::move(help), std::move(handler)};
}

void Dispatcher::handle(std::string_view text, const RpcCaller& caller,
                        std::function<void(Json)> reply) const {
  const Json request = parse_json(text);
  if (request.is_discarded()) {
    return reply(rpc_error(nullptr, kRpcParseError, "this is not JSON"));
  }
  handle(request, caller, std::move(reply));
}

Json Dispatcher::handle(std::string_view text, const RpcCaller& caller) const {
  // Whoever answers later finds nobody waiting.
  auto answer = std::make_shared<std::optional<Json>>();
  handle(text, caller, [answer](Json json) { *answer = std::move(json); });
  if (*answer) return std::move(**answer);
  return rpc_error(nullptr, kRpcFailed, "the answer takes its time");
}

Json Dispatcher::handle(const Json& request, const RpcCaller& caller) const {
  return handle(std::string_view(dump_json(request)), caller);
}

void Dispatcher::handle(const Json& request, const RpcCaller& caller,
                        std::function<void(Json)> reply) const {
  if (!request.is_object()) {
    return reply(rpc_error(nullptr, kRpcInvalidRequest, "a request is one JSON object"));
  }
  const auto id_at = request.find("id");
  const bool wants_answer = id_at != request.end();
  const Json id = wants_answer ? *id_at : Json(nullptr);
  if (!id.is_null() && !id.is_string() && !id.is_number_integer()) {
    return reply(rpc_error(nullptr, kRpcInvalidRequest, "id must be a text or a whole number"));
  }
  const auto version = request.find("jsonrpc");
  const auto name = request.find("method");
  if (version == request.end() || *version != "2.0" || name == request.end() ||
      !name->is_string()) {
    return reply(rpc_error(id, kRpcInvalidRequest, "jsonrpc must be \"2.0\" and method a text"));
  }
  const auto method = methods_.find(name->get_ref<const std::string&>());
  if (method == methods_.end()) {
    return reply(rpc_error(id, kRpcUnknownMethod, "there is no method of this name"));
  }
  const auto params_at = request.find("params");
  const Json params = params_at == request.end() ? Json::object() : *params_at;
  if (!params.is_object())
    return reply(rpc_error(id, kRpcInvalidParams, "params must be an object"));
  const auto& expected = method->second.params;
  for (const RpcParam& param : expected) {
    const auto value = params.find(param.name);
    const bool missing = value == params.end() || value->is_null();
    if (missing ? param.required : !fits(*value, param.type)) {
      return reply(rpc_error(id, kRpcInvalidParams,
                             param.name + " must be given as a " +
                                 std::string(kTypeNames[static_cast<std::size_t>(param.type)])));
    }
  }
  for (const auto& [key, value] : params.items()) {
    if (std::none_of(expected.begin(), expected.end(),
                     [&key = key](const RpcParam& p) { return p.name == key; })) {
      return reply(rpc_error(id, kRpcInvalidParams, "there is no parameter " + key));
    }
  }
  method->second.handler(
      params, caller, [id, wants_answer, reply = std::move(reply)](RpcResult result) {
        if (auto* failure = std::get_if<RpcFailure>(&result)) {
          return reply(rpc_error(id, failure->code, failure->message, failure->data));
        }
        if (!wants_answer) return reply(nullptr);
        reply({{"jsonrpc", "2.0"}, {"id", id}, {"result", std::get<Json>(std::move(result))}});
      });
}

Json Dispatcher::describe() const {
  Json out = Json::object();
  for (const auto& [name, method] : methods_) {
    Json params = Json::object();
    for (const RpcParam& p : method.params) {
      params[p.name] = {{"type", kTypeNames[static_cast<std::size_t>(p.type)]},
                        {"required", p.required}};
    }
    out[name] = {{"help", method.help}, {"params", std::move(params)}};
  }
  return out;
}

}  // namespace conclave::control
