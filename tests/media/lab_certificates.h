// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tests/support/temp_folder.h"

namespace conclave::media {

/// A certification authority made for one test.
class LabAuthority {
 public:
  /// Writes NAME-ca.pem into the folder.
  LabAuthority(const test::TempFolder& folder, const std::string& name);
  ~LabAuthority();
  LabAuthority(const LabAuthority&) = delete;
  LabAuthority& operator=(const LabAuthority&) = delete;

  struct Files {
    std::string certificate, key;
  };
  /// A server certificate for subject alternative names such as "IP:127.0.0.1" or "DNS:localhost".
  /// `valid_days` may be negative: expired yesterday.
  Files issue(const std::string& name, const std::string& alternative_names,
              const std::string& common_name = "lab server", int valid_days = 30) const;
  const std::string& ca_file() const { return ca_file_; }

 private:
  struct State;
  State* state_;
  const test::TempFolder& folder_;
  std::string ca_file_;
};

}  // namespace conclave::media
