// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::service {

/// Files of a small certificate authority of one's own, for laboratories and self-hosting.
struct LabCertificates {
  std::string ca_file;           ///< give this to the phones
  std::string certificate_file;  ///< server's chain
  std::string key_file;          ///< server's key, mode 0600
};

/// Makes `folder` hold a CA (ca.pem; ca.key, mode 0600) and a server certificate (server.pem,
/// server.key) valid for all of `names` (host names or IP literals), and re-uses what is there. The
/// server certificate is made anew when it does not cover the names, does not stem from the CA, or
/// ends within 30 days; the CA is kept as long as it is valid, so that phones need it once.
/// P-256 keys, SHA-256; files appear whole (temporary file, then rename). May block; any thread.
Result<LabCertificates> ensure_lab_certificates(const std::string& folder,
                                                const std::vector<std::string>& names);

}  // namespace conclave::service
