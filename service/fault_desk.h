// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "service/https_server.h"

namespace conclave::service {

/// What a request is about, as far as faults are concerned. kCallControl is what is asked within a
/// conference, but for the roster; kProvisioning configuration files.
enum class FaultStage { kActivation, kLogin, kJoin, kCallControl, kConsole, kProvisioning };
std::string_view to_string(FaultStage stage);
std::optional<FaultStage> parse_fault_stage(std::string_view text);

/// One thing that can be ordered: an entry of the error catalogue, or a misbehaviour of transport.
struct FaultKind {
  std::string_view id;
  int status = 0;                        ///< of the answer; 0: a misbehaviour
  FaultStage stage = FaultStage::kJoin;  ///< where it belongs unless the order says another
};

struct FaultOrder {
  std::uint64_t number = 0;
  std::string id{};
  std::string phone{};  ///< serial number; empty: everybody
  FaultStage stage = FaultStage::kJoin;
  int left = 1;  ///< requests
};

/// Errors on order, to train on and to test with: the next requests of a phone, or of everybody,
/// are answered with an error of the catalogue, or badly. Any thread.
class FaultDesk {
 public:
  static constexpr int kMaxCount = 1000;
  static constexpr std::size_t kMaxOrders = 256;

  static std::span<const FaultKind> kinds();

  /// Errors say what the order lacks.
  Result<FaultOrder> order(std::string_view id, const std::string& phone, int count,
                           std::optional<FaultStage> stage);
  std::vector<FaultOrder> orders() const;
  /// How many were taken back. `number` 0: all.
  int cancel(std::uint64_t number = 0);

  /// The answer that was ordered for this request, which is counted off; the oldest order first.
  std::optional<HttpAnswer> take(FaultStage stage, std::string_view serial);

  /// Redirects to itself: where the fault "redirect-loop" leads.
  static constexpr std::string_view kLoopPath = "/faults/loop";
  static HttpAnswer loop();

 private:
  mutable std::mutex mutex_;
  std::vector<FaultOrder> orders_;
  std::uint64_t next_ = 1;
};

}  // namespace conclave::service
