// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "service/provisioning/config_signer.h"
#include "service/provisioning/store.h"

namespace conclave::service {

/// Who a phone may be sent to.
struct ProviderEntry {
  std::string id{};       ///< identifier
  std::string name{};     ///< for people
  std::string address{};  ///< of its provisioning server, https; empty: this service
};

/// What the console manages of one phone: only the parameters that the administrator chose (F70,
/// F71), besides which site it belongs to.
struct DeviceConfiguration {
  std::string provider{};  ///< ProviderEntry::id; empty: the phone is not known to the console
  std::string site = "default";
  bool absent_default = true;  ///< parameters taken out lose their value on the phone
  std::map<std::string, std::string> parameters{};
  std::set<std::string> locks{};  ///< names of `parameters` that the phone itself may not change
};

/// The three layers of configuration files: texts for models and sites, chosen parameters for each
/// phone, put together to the files that a phone fetches. Any thread; every change is on disk
/// before it counts, and raises the revision.
class ConfigurationShelf {
 public:
  enum class Part { kModel, kSite, kCa };
  static constexpr std::size_t kMaxParameters = 500;
  static constexpr std::size_t kMaxProviders = 100;

  ConfigurationShelf(ProvisioningStore& store, std::optional<ConfigSigner> signer)
      : store_(store), signer_(std::move(signer)) {}
  /// Reads what is there. A damaged file is an error: guessing would reconfigure phones.
  Status load();

  std::uint64_t revision() const;
  std::vector<std::string> names(Part part) const;
  Result<std::optional<std::string>> text(Part part, const std::string& name) const;
  Status set_text(Part part, const std::string& name, const std::string& text);
  Result<bool> remove(Part part, const std::string& name);

  std::vector<ProviderEntry> providers() const;
  Status set_providers(std::vector<ProviderEntry> providers);

  DeviceConfiguration device(const std::string& serial) const;  ///< the default when unknown
  bool has_device(const std::string& serial) const;
  Status set_device(const std::string& serial, DeviceConfiguration configuration);
  /// The console's entry is gone; what the phone has been given stays there until it comes again.
  Result<bool> remove_device(const std::string& serial);

  /// The file that a phone begins with: includes its model's and its site's, and sets its own
  /// parameters in [device]. `model` must be an identifier.
  Result<std::string> phone_file(const std::string& serial, const std::string& model) const;
  /// "model-NAME.conf", or "site-NAME.conf" of the phone's own site; nothing for other names.
  Result<std::optional<std::string>> part_file(const std::string& serial,
                                               std::string_view file) const;

 private:
  struct State {
    std::uint64_t revision = 1;
    std::vector<ProviderEntry> providers{};
    std::map<std::string, DeviceConfiguration> devices{};
  };
  static std::string file_of(Part part, const std::string& name);
  Status keep(State state);
  Result<std::string> finished(std::string text) const;

  ProvisioningStore& store_;
  const std::optional<ConfigSigner> signer_;
  mutable std::mutex mutex_;
  State state_;
};

}  // namespace conclave::service
