// SPDX-License-Identifier: Apache-2.0
#include "media/sip/hosts_file.h"

#include <fstream>
#include <sstream>

#include "media/sip/sip_text.h"

namespace conclave::media {

std::string find_in_hosts(std::string_view name, std::string_view hosts_text) {
  std::string v6;
  std::istringstream lines{std::string(hosts_text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string address, word;
    words >> address;
    while (words >> word) {
      if (word != name) continue;
      if (address.find(':') == std::string::npos) return address;
      if (v6.empty()) v6 = address;
    }
  }
  if (v6.empty() && name == "localhost") return "127.0.0.1";
  return v6;
}

std::string with_local_address(const std::string& uri) {
  const std::string host = sip_host(uri);
  if (host.empty() || uri.find('[') != std::string::npos) return {};
  std::ifstream file("/etc/hosts");
  std::stringstream text;
  if (file) text << file.rdbuf();
  const std::string address = find_in_hosts(host, text.str());
  if (address.empty()) return {};
  const auto at = uri.rfind('@');
  const auto begin = uri.find(host, at == std::string::npos ? uri.find(':') + 1 : at + 1);
  std::string out = uri;
  out.replace(begin, host.size(), bracketed(address));
  return out;
}

}  // namespace conclave::media
