// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace conclave::apps {

/// conclaved's command line. What is given here counts before the settings, but for --set and
/// --service-ca, which are settings themselves and are kept.
struct PhoneOptions {
  std::string data;
  std::string profile;
  std::string ring;
  std::vector<std::string> satellites;
  std::string listen;
  int port = -1;
  std::string ui;
  std::string service_ca;
  std::vector<std::string> set;  ///< NAME=VALUE
  std::string provider;          ///< file; empty: by the settings
  std::string configuration;
  std::string device_certificate;
  std::string lease;
  std::string join, email;
  std::string report;
};

/// Ends the program by itself for --help, --version and wrong use: then the result is its exit
/// code; -1 goes on.
int parse_options(int argc, char** argv, PhoneOptions* options);

}  // namespace conclave::apps
