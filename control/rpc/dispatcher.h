// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "control/errors/catalogue.h"

namespace conclave::control {

inline constexpr int kRpcParseError = -32700;
inline constexpr int kRpcInvalidRequest = -32600;
inline constexpr int kRpcUnknownMethod = -32601;
inline constexpr int kRpcInvalidParams = -32602;
inline constexpr int kRpcFailed = -32000;  ///< data has the catalogue's entry or name -> message

struct RpcFailure {
  int code = kRpcFailed;
  std::string message;
  nlohmann::json data = nullptr;
};
using RpcResult = std::variant<nlohmann::json, RpcFailure>;

/// An Error as a failure with the catalogue's id, cause and remedy in `data`, in that language.
RpcFailure rpc_failure(const Error& error, Language language = Language::kEnglish);

/// Who asks.
struct RpcCaller {
  std::string user;
  std::string session;  ///< token of the web login; empty for the local door
  std::string address;
};

/// One parameter of a method, checked before the handler sees it.
struct RpcParam {
  enum class Type { kString, kBool, kNumber, kObject };
  std::string name;
  Type type = Type::kString;
  bool required = true;
};

/// JSON-RPC 2.0 methods by name, the same for all doors. Control loop.
class Dispatcher {
 public:
  using Handler = std::function<RpcResult(const nlohmann::json& params, const RpcCaller& caller)>;

  void add(const std::string& method, std::vector<RpcParam> params, std::string help,
           Handler handler);
  /// A method whose answer takes its time: `done` is called once, on the control loop, now or
  /// later.
  using Done = std::function<void(RpcResult)>;
  using LaterHandler =
      std::function<void(const nlohmann::json& params, const RpcCaller& caller, Done done)>;
  void add_later(const std::string& method, std::vector<RpcParam> params, std::string help,
                 LaterHandler handler);
  /// Answers by `reply`, at once or when the method has its answer: null for a notification that
  /// went well.
  void handle(std::string_view text, const RpcCaller& caller,
              std::function<void(nlohmann::json)> reply) const;
  /// At once; a method that takes its time cannot be asked so.
  /// The response; null for a notification that went well. Never throws, whatever the text.
  nlohmann::json handle(std::string_view text, const RpcCaller& caller) const;
  nlohmann::json handle(const nlohmann::json& request, const RpcCaller& caller) const;
  /// Names, parameters and help of all methods.
  nlohmann::json describe() const;

 private:
  struct Method {
    std::vector<RpcParam> params;
    std::string help;
    LaterHandler handler;
  };
  void handle(const nlohmann::json& request, const RpcCaller& caller,
              std::function<void(nlohmann::json)> reply) const;
  std::map<std::string, Method, std::less<>> methods_;
};

/// Parses outside text with limits on depth; discarded value when it is not JSON.
nlohmann::json parse_json(std::string_view text, int max_depth = 32);
/// Dumps what may hold text of any origin without throwing.
std::string dump_json(const nlohmann::json& json);
nlohmann::json rpc_error(const nlohmann::json& id, int code, const std::string& message,
                         const nlohmann::json& data = nullptr);

}  // namespace conclave::control
