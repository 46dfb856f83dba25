// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "service/focus/dial_out.h"
#include "service/focus/relay.h"
#include "service/janus/bridge.h"

namespace conclave::service {

struct ServiceConfig {
  std::string data{};                ///< folder: certificates, conferences, state
  std::string listen = "127.0.0.1";  ///< literal for REST, SIP and media
  std::string advertise{};           ///< literal that phones reach; empty: `listen`
  std::vector<std::string> names{};  ///< further host names for certificate and Host check
  int rest_port = 0;                 ///< 0: a free one
  int sip_port = 0;
  std::string directory_file{};  ///< empty: DATA/conferences.json
  int prebuffer = 1;             ///< see BridgeConfig
  int silent_after_s = 20;
  bool sign_configurations = false;  ///< see ProvisioningConfig::sign
  bool open_provisioning = false;    ///< see ProvisioningConfig::open
  DialOutRules dial_out{};
  std::string operator_address{};  ///< number or SIP address; empty: the desk is told alone
  std::string recordings{};        ///< folder; empty: DATA/recordings
  /// "HOST[:PORT]" by which phones are to reach SIP, in the order in which they are to try; empty:
  /// `advertise`.
  std::vector<std::string> sip_addresses{};
  bool tunnel = false;  ///< run a tunnel server (coturn) for phones without a direct way
  int tunnel_port = 0;  ///< TLS; 0: a free one
  int token_lifetime_s = 12 * 3600;
};

/// The whole service: REST call control, SIP focus, mixer. Construction is the start.
class Service {
 public:
  virtual ~Service() = default;  ///< ends all calls, and Janus
  static Result<std::unique_ptr<Service>> start(const ServiceConfig& config);

  /// The one line of JSON that says "ready", without newline.
  virtual std::string ready_line() const = 0;
  virtual std::string rest_address() const = 0;
  virtual int sip_port() const = 0;
  virtual std::string ca_file() const = 0;
  virtual BridgeStatus bridge_status() const = 0;
  virtual int tunnel_pid() const = 0;   ///< -1: there is none (at the moment)
  virtual int tunnel_port() const = 0;  ///< 0: there is none
  virtual LegStats leg_stats(const std::string& participant) const = 0;
  /// Housekeeping; call about once a second.
  virtual void tick() = 0;
};

}  // namespace conclave::service
