// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "control/settings/registry.h"

namespace conclave::control {

/// CA certificates that a configuration made the phone download (F89), kept in the data folder, and
/// the bundle of all that are trusted. Any thread, one at a time.
class CaStore {
 public:
  static constexpr std::size_t kMaxBytes = 64 * 1024;
  explicit CaStore(std::string folder) : folder_(std::move(folder)) {}

  /// Keeps what was downloaded. True when it differs from what was there. Refused as a whole:
  /// no certificate in PEM, more than 32, one that is no CA's or whose time is over.
  Result<bool> keep(std::string_view pem);
  /// True when there was something.
  bool forget();

  struct Trust {
    std::string file;     ///< PEM; empty: the system's CAs alone
    bool system = false;  ///< the system's CAs besides
  };
  /// The service CA and imported certificates of the settings and what was downloaded: one file,
  /// made anew when they differ.
  Trust trust(const Registry& settings);

 private:
  std::string downloaded() const { return folder_ + "/ca-downloaded.pem"; }
  std::string folder_;
};

/// The phone's certificate with its key: the setting's, else DATA/device.pem if there is one, else
/// empty.
std::string device_certificate_file(const Registry& settings, const std::string& data_folder);
/// The serial number in the certificate's subject (IEEE 802.1AR); empty when there is none that is
/// letters, digits, '-', '_' and '.'.
std::string serial_of_certificate(const std::string& file);

}  // namespace conclave::control
