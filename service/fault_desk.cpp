// SPDX-License-Identifier: Apache-2.0
#include "service/fault_desk.h"

#include <algorithm>

#include "service/protocol/messages.h"

namespace conclave::service {
namespace {

using S = FaultStage;

// Every id of the error catalogue, with the status that goes best with it. What a phone finds out
// by itself (network, proxy, TLS) comes as from a gateway: good enough to train on.
constexpr FaultKind kKinds[] = {
    {"ACT-400", 400, S::kActivation},
    {"ACT-401", 401, S::kActivation},
    {"ACT-404", 404, S::kActivation},
    {"ACT-410", 410, S::kActivation},
    {"ACT-412", 412, S::kActivation},
    {"ACT-423", 423, S::kActivation},
    {"ACT-500", 500, S::kActivation},
    {"ACT-DISABLED", 403, S::kActivation},
    {"IN-EMAIL", 400, S::kJoin},
    {"IN-PASSCODE", 400, S::kJoin},
    {"JOIN-974", 500, S::kJoin},
    {"JOIN-975", 400, S::kJoin},
    {"JOIN-976", 400, S::kJoin},
    {"JOIN-977", 403, S::kLogin},
    {"JOIN-978", 403, S::kLogin},
    {"JOIN-979", 500, S::kJoin},
    {"JOIN-980", 404, S::kJoin},
    {"JOIN-981", 404, S::kJoin},
    {"JOIN-982", 508, S::kJoin},
    {"JOIN-983", 503, S::kJoin},
    {"JOIN-984", 500, S::kJoin},
    {"JOIN-NOTFOUND", 404, S::kJoin},
    {"JOIN-UNABLE", 401, S::kLogin},
    {"JOIN-UNAVAILABLE", 503, S::kJoin},
    {"OTHER", 500, S::kJoin},
    {"SVC-TEMP", 503, S::kJoin},
    {"CC-404", 404, S::kCallControl},
    {"CC-DIALOUT", 502, S::kCallControl},
    {"CC-DIALOUT-CCS", 502, S::kCallControl},
    {"CC-DIALOUT-DENIED", 403, S::kCallControl},
    {"CC-EJECT", 403, S::kCallControl},
    {"CC-MUTE-ALL", 403, S::kCallControl},
    {"CC-MUTE-OTHER", 403, S::kCallControl},
    {"CC-MUTE-SELF", 403, S::kCallControl},
    {"CC-OPERATOR", 502, S::kCallControl},
    {"CC-OPERATOR-DENIED", 403, S::kCallControl},
    {"CC-RECORD", 502, S::kCallControl},
    {"SIG-902", 502, S::kJoin},
    {"SIG-903", 502, S::kJoin},
    {"NET-950", 502, S::kJoin},
    {"NET-951", 502, S::kJoin},
    {"NET-952", 504, S::kJoin},
    {"NET-953", 502, S::kJoin},
    {"NET-954", 504, S::kJoin},
    {"NET-956", 502, S::kJoin},
    {"NET-957", 502, S::kJoin},
    {"NET-TEXT", 502, S::kJoin},
    {"TLS-955", 502, S::kJoin},
    {"PROXY-958", 502, S::kJoin},
    {"PROXY-959", 502, S::kJoin},
    {"PROXY-960", 502, S::kJoin},
    {"PROXY-961", 504, S::kJoin},
    {"PROXY-962", 502, S::kJoin},
    {"PROXY-963", 502, S::kJoin},
    {"no-answer", 0, S::kJoin},
    {"close", 0, S::kJoin},
    {"not-json", 0, S::kJoin},
    {"wrong-type", 0, S::kJoin},
    {"endless", 0, S::kJoin},
    {"slow", 0, S::kJoin},
    {"redirect-loop", 0, S::kJoin},
    {"redirect-http", 0, S::kJoin},
};

HttpAnswer misbehaviour(std::string_view id) {
  HttpAnswer answer;
  answer.body = R"({"ok":true})";
  if (id == "no-answer") answer.conduct = HttpAnswer::Conduct::kSilent;
  if (id == "close") answer.conduct = HttpAnswer::Conduct::kClose;
  if (id == "endless") answer.conduct = HttpAnswer::Conduct::kEndless;
  if (id == "slow") answer.conduct = HttpAnswer::Conduct::kSlow;
  if (id == "not-json") answer.body = R"({"token":"abc)";
  if (id == "wrong-type") answer.content_type = "text/html";
  if (id == "redirect-loop") return FaultDesk::loop();
  if (id == "redirect-http") {
    answer.status = 302;
    answer.location = "http://127.0.0.1:9/";
  }
  return answer;
}

const FaultKind* find_kind(std::string_view id) {
  const auto* found = std::find_if(std::begin(kKinds), std::end(kKinds),
                                   [id](const FaultKind& kind) { return kind.id == id; });
  return found == std::end(kKinds) ? nullptr : found;
}

}  // namespace

std::string_view to_string(FaultStage stage) {
  switch (stage) {
    case S::kActivation:
      return "activation";
    case S::kLogin:
      return "login";
    case S::kJoin:
      return "join";
    case S::kConsole:
      return "console";
    case S::kProvisioning:
      return "provisioning";
    case S::kCallControl:
      break;
  }
  return "call-control";
}

std::optional<FaultStage> parse_fault_stage(std::string_view text) {
  for (const auto stage :
       {S::kActivation, S::kLogin, S::kJoin, S::kCallControl, S::kConsole, S::kProvisioning}) {
    if (text == to_string(stage)) return stage;
  }
  return std::nullopt;
}

std::span<const FaultKind> FaultDesk::kinds() { return kKinds; }

HttpAnswer FaultDesk::loop() {
  HttpAnswer answer;
  answer.status = 302;
  answer.location = kLoopPath;
  return answer;
}

Result<FaultOrder> FaultDesk::order(std::string_view id, const std::string& phone, int count,
                                    std::optional<FaultStage> stage) {
  const FaultKind* kind = find_kind(id);
  if (kind == nullptr) return Error{"no fault has the id given; GET lists them"};
  if (!phone.empty() && !protocol::valid_identifier(phone)) {
    return Error{"phone must be a serial number"};
  }
  if (count < 1 || count > kMaxCount) return Error{"count must be from 1 to 1000"};
  const std::lock_guard lock(mutex_);
  if (orders_.size() >= kMaxOrders) return Error{"too many orders; take some back by DELETE"};
  FaultOrder made;
  made.number = next_++;
  made.id = id;
  made.phone = phone;
  made.stage = stage.value_or(kind->stage);
  made.left = count;
  orders_.push_back(made);
  return made;
}

std::vector<FaultOrder> FaultDesk::orders() const {
  const std::lock_guard lock(mutex_);
  return orders_;
}

int FaultDesk::cancel(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  return static_cast<int>(std::erase_if(orders_, [number](const FaultOrder& order) {
    return number == 0 || order.number == number;
  }));
}

std::optional<HttpAnswer> FaultDesk::take(FaultStage stage, std::string_view serial) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(orders_.begin(), orders_.end(), [&](const FaultOrder& order) {
    return order.stage == stage && (order.phone.empty() || order.phone == serial);
  });
  if (found == orders_.end()) return std::nullopt;
  const FaultKind& kind = *find_kind(found->id);
  if (--found->left == 0) orders_.erase(found);
  if (kind.status == 0) return misbehaviour(kind.id);
  HttpAnswer answer;
  answer.status = kind.status;
  // No message: the phone has its own, in its language.
  answer.body = to_json(protocol::ErrorBody{std::string(kind.id), "", "", ""});
  return answer;
}

}  // namespace conclave::service
