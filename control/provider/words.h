// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace conclave::control {

/// What texts of the catalogues call the service provider: they hold {provider}, {phone},
/// {settings_section} or {service_address}, and the profile in force says what stands there. Until
/// set, the words of the built-in profile. Any thread.
///
/// `profile`: a provider profile as to_json() or the file has it. What it does not say is called by
/// its name, or neutrally.
void set_provider_words(const nlohmann::json& profile);

/// The text with the words put in; braces around anything else stay.
std::string with_provider_words(std::string_view text);

}  // namespace conclave::control
