// SPDX-License-Identifier: Apache-2.0
#include "service/provisioning/store.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/durable_file.h"
#include "service/files.h"

namespace conclave::service {
namespace {
constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
}

Status ProvisioningStore::open() {
  if (mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error{"Cannot make the folder " + folder_ + ": " + std::strerror(errno)};
  }
  return {};
}

Result<std::optional<std::string>> ProvisioningStore::load(const std::string& name) const {
  bool missing = false;
  auto text = read_file(folder_ + "/" + name, kMaxBytes, &missing);
  if (missing) return std::optional<std::string>();
  if (!text) return text.error();
  return std::optional(std::move(*text));
}

Status ProvisioningStore::save(const std::string& name, const std::string& text) {
  return write_durably(folder_ + "/" + name, text, 0600);
}

Result<bool> ProvisioningStore::remove(const std::string& name) {
  std::error_code error;
  const bool gone = std::filesystem::remove(folder_ + "/" + name, error);
  if (error) return Error{"Cannot remove " + name + ": " + error.message()};
  return gone;
}

std::vector<std::string> ProvisioningStore::list(const std::string& prefix,
                                                 const std::string& suffix) const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.size() > prefix.size() + suffix.size() && name.starts_with(prefix) &&
        name.ends_with(suffix)) {
      names.push_back(name.substr(prefix.size(), name.size() - prefix.size() - suffix.size()));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace conclave::service
