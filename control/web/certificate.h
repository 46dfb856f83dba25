// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace conclave::control::web {

struct CertificateFiles {
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM, mode 0600
};

/// The web server's own certificate in `folder` (web-cert.pem, web-key.pem): made at the first
/// start and when what is there cannot be used or has expired. ECDSA P-256, self-signed, for
/// localhost, `names` and the machine's addresses at that time; 825 days, the most that browsers
/// take. Control thread.
Result<CertificateFiles> ensure_certificate(const std::string& folder,
                                            const std::vector<std::string>& names);

/// SHA-256 of the certificate as AA:BB:..., to compare with what the browser shows.
Result<std::string> certificate_fingerprint(const std::string& file);

}  // namespace conclave::control::web
