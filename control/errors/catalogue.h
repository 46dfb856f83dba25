// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "base/result.h"

namespace conclave::control {

/// One row of control/errors/catalogue.json. All text is static.
struct ErrorRow {
  std::string_view id;     ///< "NET-953"; stage and code make it unique
  int code = 0;            ///< 0: the guide gives none
  std::string_view stage;  ///< activation, join, call control, network, proxy, TLS
  std::string_view message, cause, remedy;
  std::string_view who;    ///< who can do something about it
  bool retryable = false;  ///< the phone may try again by itself
  std::span<const std::string_view> settings;
  std::span<const std::string_view> guide;
};

std::span<const ErrorRow> errors_catalogue();
/// Null for an id that is not there.
const ErrorRow* find_error(std::string_view id);

/// All rows as JSON, for errors.list and `conclave errors list --json`.
nlohmann::json errors_json();

/// {id, message, cause, remedy, who, stage, code?}: what every surface shows. An Error without an
/// id keeps its message; an id that is unknown is explained by the catalogue's entry for others.
nlohmann::json error_json(const Error& error);

/// An Error with the catalogue's message; `detail` (already fit for people) is put in brackets.
Error catalogue_error(std::string_view id, std::string_view detail = {});

}  // namespace conclave::control
