// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace conclave::service {

/// Signs configuration files with Ed25519 (docs/configuration-files.md). Any thread.
class ConfigSigner {
 public:
  /// Reads `private_file` (PEM, 0600) or makes a pair of keys: `public_file` is what goes to the
  /// phones.
  static Result<ConfigSigner> load_or_make(const std::string& private_file,
                                           const std::string& public_file);
  /// The text with its line "signature ed25519 BASE64"; one that has such a last line already stays
  /// as it is, so that files signed elsewhere can be served.
  Result<std::string> sign(std::string text) const;

 private:
  std::string key_pem_;
};

}  // namespace conclave::service
