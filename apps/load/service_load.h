// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::apps {

struct ServiceLoadConfig {
  std::string rest{};     ///< address of call control
  std::string ca_file{};  ///< vouches for REST and SIP
  /// One meeting each; phones go round.
  std::vector<std::string> passcodes{};
  int phones = 200;
  int ptime_ms = 20;        ///< of packets from the phones: 10 or 20
  double seconds = 20;      ///< from the last join on
  int joining_at_once = 8;  ///< phones that join at the same time
  int talkers = 1;          ///< in each meeting; the others send silence
  bool rosters = true;      ///< some phones wait for changes of their roster, as real ones do
  std::function<void(bool begin)> measured{};  ///< begin and end of the measured seconds
};

/// What the phones saw.
struct ServiceLoadReport {
  int joined = 0;
  std::vector<std::string> failures{};  ///< why a phone could not join, each reason once
  double join_p50_ms = 0, join_p95_ms = 0, join_max_ms = 0;  ///< login to first packet of the mix
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t lost = 0;      ///< of the mix, by sequence numbers
  std::uint64_t rejected = 0;  ///< failed authentication
  double loss_percent = 0;     ///< of what was to come in the measured seconds, missing ones too
  double jitter_p95_ms = 0;    ///< RFC 3550, over the phones
  double late_p99_ms = 0;      ///< how late this program itself sent
  std::uint64_t rosters = 0;   ///< answers to roster requests
  int ended = 0;               ///< calls that the service ended
};

/// Many phones in one process, as light as they can be: real call control over HTTPS, real SIP over
/// TLS, real SRTP with real Opus, but no acoustics: packets are encoded once, and what comes is
/// counted. Blocks. `progress` (may be empty) hears a line now and then.
Result<ServiceLoadReport> run_service_load(const ServiceLoadConfig& config,
                                           const std::function<void(const std::string&)>& progress);

}  // namespace conclave::apps
