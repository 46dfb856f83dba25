// SPDX-License-Identifier: Apache-2.0
#include "control/errors/catalogue.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

namespace conclave::control {
namespace {

#include "control/errors/catalogue_table.inc"

}  // namespace

std::span<const ErrorRow> errors_catalogue() { return kRows; }

const ErrorRow* find_error(std::string_view id) {
  const auto* found = std::find_if(std::begin(kRows), std::end(kRows),
                                   [id](const ErrorRow& row) { return row.id == id; });
  return found == std::end(kRows) ? nullptr : found;
}

nlohmann::json errors_json() {
  nlohmann::json rows = nlohmann::json::array();
  for (const ErrorRow& row : errors_catalogue()) {
    nlohmann::json item{{"id", row.id},
                        {"stage", row.stage},
                        {"message", row.message},
                        {"cause", row.cause},
                        {"remedy", row.remedy},
                        {"who", row.who},
                        {"retryable", row.retryable}};
    if (row.code != 0) item["code"] = row.code;
    item["settings"] = nlohmann::json::array();
    for (const std::string_view name : row.settings) item["settings"].push_back(name);
    rows.push_back(std::move(item));
  }
  return rows;
}

nlohmann::json error_json(const Error& error) {
  nlohmann::json out = nlohmann::json::object();
  const ErrorRow* row = find_error(error.id);
  if (row == nullptr && !error.id.empty()) row = find_error("OTHER");
  out["id"] = error.id;
  out["message"] = error.message;
  if (row == nullptr) return out;
  if (error.message.empty()) out["message"] = row->message;
  out["cause"] = row->cause;
  out["remedy"] = row->remedy;
  out["who"] = row->who;
  out["stage"] = row->stage;
  if (row->code != 0) out["code"] = row->code;
  return out;
}

Error catalogue_error(std::string_view id, std::string_view detail) {
  const ErrorRow* row = find_error(id);
  std::string message(row != nullptr ? row->message : find_error("OTHER")->message);
  if (id == "NET-TEXT") message = "Unknown network error";
  if (!detail.empty()) message += " (" + std::string(detail) + ")";
  return Error{std::move(message), std::string(id)};
}

}  // namespace conclave::control
