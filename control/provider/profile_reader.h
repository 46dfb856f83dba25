// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/provider/profile.h"

namespace conclave::control::provider {

/// Reads one profile: gathers the faults instead of stopping at the first.
class Reader {
 public:
  Result<ProviderProfile> read(std::string_view text);

 private:
  using Json = nlohmann::json;
  void fault(const std::string& where, const std::string& why);
  void only(const Json& object, const std::string& where,
            std::initializer_list<std::string_view> known);
  /// The object or list of that name; null where there is none or it is something else.
  const Json* part(const Json& object, const std::string& where, const char* name, bool list,
                   std::size_t max_items);
  std::string text(const Json& object, const std::string& where, const char* name,
                   std::size_t max_bytes, bool required);
  std::string page(const Json& object, const std::string& where, const char* name);
  void read_head(const Json& root);
  void read_settings(const Json& root);
  void add_setting(const std::string& where, const std::string& name, const Json& value);
  void read_texts(const Json& root);
  void read_support(const Json& root);
  void read_firewall(const Json& root);
  void note_hosts_without_rule();

  ProviderProfile profile_;
  std::vector<std::string> faults_;
};

}  // namespace conclave::control::provider
