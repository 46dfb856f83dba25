// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
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

/// Makes a client certificate for one phone by the CA in `folder`, which must be there: subject
/// `O=Conclave laboratory, CN=SERIAL, serialNumber=SERIAL` (as IEEE 802.1AR has it), extended usage
/// clientAuth, five years. `file` gets certificate and key together, mode 0600: what a phone's
/// setting Security.Certificates.Device takes. May block; any thread.
Status issue_device_certificate(const std::string& folder, const std::string& serial,
                                const std::string& file);

/// Whose device certificate this is.
struct DeviceIdentity {
  enum class Verdict {
    kGood,
    kAbsent,
    kUntrusted,  ///< not issued by this CA, or not for clients
    kExpired,    ///< or not valid yet
    kNoSerial,   ///< of this CA, but no device's
  };
  Verdict verdict = Verdict::kAbsent;
  std::string serial{};  ///< kGood: of the phone
};
/// Looks at a certificate (DER) that TLS has proven the client to hold the key of. Any thread.
DeviceIdentity identify_device(const std::string& ca_file, std::string_view der);

}  // namespace conclave::service
