// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "service/fault_desk.h"
#include "service/https_server.h"
#include "service/provisioning/configuration_shelf.h"
#include "service/secrets.h"
#include "service/store/store.h"

namespace conclave::service {

struct ProvisioningConfig {
  std::string folder{};   ///< DATA/provisioning
  std::string ca_file{};  ///< who issues device certificates; also handed out
  bool sign = false;      ///< files are signed with DATA/provisioning/signing.key
  /// Phones without a device certificate are served too, by the serial number in the address alone:
  /// laboratories only.
  bool open = false;
};

/// Redirect console and provisioning server (docs/service-protocol.md): what a phone is told of
/// where it belongs, its configuration files, and what it reports. Requests in, answers out; any
/// thread.
class Provisioning {
 public:
  struct Hooks {
    std::function<void()> notify{};  ///< waiting requests are to be asked again
    /// SIP NOTIFY check-sync within the phone's call; false: it has none. May be empty.
    std::function<bool(const std::string& serial)> check_sync{};
    /// The directory has the phone among its own. May be empty.
    std::function<bool(const std::string& serial)> known{};
  };
  static constexpr std::string_view kConsolePath = "/console";
  static constexpr std::string_view kServerPath = "/provisioning";
  static constexpr std::string_view kReportKind = "configuration";

  static Result<std::unique_ptr<Provisioning>> create(const ProvisioningConfig& config,
                                                      const Clock& clock, FaultDesk& faults,
                                                      Store& reports, Hooks hooks);
  /// Where phones reach this service, "https://host:port". Before the first request.
  void set_origin(std::string origin) { origin_ = std::move(origin); }
  std::string console_address() const { return origin_ + std::string(kConsolePath); }
  std::string server_address() const { return origin_ + std::string(kServerPath); }
  std::string public_key_file() const;  ///< empty: files are not signed

  static bool owns(std::string_view path);
  HttpAnswer handle(const HttpRequest& request);
  /// Below /admin, for one who has shown the administrator's token; `path` without "/admin".
  /// Nothing: not one of ours.
  std::optional<HttpAnswer> admin(const HttpRequest& request, std::string_view path);

  ConfigurationShelf& shelf() { return *shelf_; }

 private:
  struct Phone {
    std::uint64_t events = 1;  ///< counts up with each resync that was asked for
    bool listening = false;    ///< a request for events is waiting
  };
  Provisioning(const ProvisioningConfig& config, const Clock& clock, FaultDesk& faults,
               Store& reports, Hooks hooks);

  HttpAnswer console(const HttpRequest& request, std::string_view rest);
  HttpAnswer server(const HttpRequest& request, std::string_view rest);
  HttpAnswer file(const HttpRequest& request, const std::string& serial, std::string_view name);
  HttpAnswer take_report(const HttpRequest& request, const std::string& serial);
  HttpAnswer events(const HttpRequest& request, const std::string& serial);
  HttpAnswer ca(const HttpRequest& request, std::string_view name);
  HttpAnswer sent_to(const ProviderEntry& provider) const;
  std::vector<ProviderEntry> providers() const;
  /// Why the certificate does not open the door; nothing when it does.
  std::optional<HttpAnswer> certificate_problem(const HttpRequest& request,
                                                std::string* serial) const;

  HttpAnswer admin_texts(const HttpRequest& request, ConfigurationShelf::Part part,
                         std::string_view name);
  HttpAnswer admin_providers(const HttpRequest& request);
  HttpAnswer admin_configuration(const HttpRequest& request, const std::string& serial);
  HttpAnswer admin_reports(const HttpRequest& request, const std::string& serial);
  HttpAnswer admin_resync(const HttpRequest& request, const std::string& serial);

  const ProvisioningConfig config_;
  FaultDesk& faults_;
  Store& reports_;
  const Hooks hooks_;
  std::string origin_{};
  ProvisioningStore store_;
  std::unique_ptr<ConfigurationShelf> shelf_;
  FailureLimiter reports_of_phone_;
  std::mutex mutex_;
  std::map<std::string, Phone> phones_;
};

}  // namespace conclave::service
