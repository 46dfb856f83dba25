// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/loop/loop.h"

namespace conclave::control {

struct SrvRecord {
  std::string host;
  std::uint16_t port = 0;
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
};
/// The order in which RFC 2782 wants them tried: by priority, within one by chance according to
/// weight. `random` gives numbers from 0 up to (not including) its argument.
std::vector<SrvRecord> in_srv_order(std::vector<SrvRecord> records,
                                    const std::function<std::uint32_t(std::uint32_t)>& random);

/// DNS SRV without holding up the loop: questions go out one after the other on a thread of its
/// own.
class SrvLookup {
 public:
  struct Question {
    std::string name;                  ///< "_conclave-prov._tcp.example.com"
    std::vector<std::string> servers;  ///< address or address:port; empty: those of the system
  };
  using Done = std::function<void(Result<std::vector<SrvRecord>>)>;

  explicit SrvLookup(Loop& loop)
      : loop_(&loop), alive_(std::make_shared<std::atomic<bool>>(true)) {}
  ~SrvLookup() { *alive_ = false; }
  /// `done` is called on the loop, unless this is gone by then. No such name: an empty list. Errors
  /// are the catalogue's NET-953. At most `limit`.
  void ask(Question question, Done done,
           std::chrono::milliseconds limit = std::chrono::milliseconds(6000));
  /// The first search domain of the system's resolver; empty when it has none. Any thread.
  static std::string system_domain();

 private:
  Loop* loop_;
  std::shared_ptr<std::atomic<bool>> alive_;
  Loop worker_{"dns"};
};

}  // namespace conclave::control
