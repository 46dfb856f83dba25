// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::service {

/// Where provisioning keeps its texts, by name ("site-default.conf"): a folder of files that an
/// administrator may also edit by hand. Names are identifiers as protocol::valid_identifier() has
/// them. Every read looks at the disk, every write is whole or not at all. Any thread.
class ProvisioningStore {
 public:
  explicit ProvisioningStore(std::string folder) : folder_(std::move(folder)) {}
  Status open();  ///< makes the folder (0700)

  /// Nothing when there is no such text; an error when it cannot be read or is over 1 MiB.
  Result<std::optional<std::string>> load(const std::string& name) const;
  Status save(const std::string& name, const std::string& text);
  /// False when there was none.
  Result<bool> remove(const std::string& name);
  /// Names that begin and end so, sorted, without both.
  std::vector<std::string> list(const std::string& prefix, const std::string& suffix) const;

 private:
  std::string folder_;
};

}  // namespace conclave::service
