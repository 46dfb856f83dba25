// SPDX-License-Identifier: Apache-2.0
#include "service/admin/pages.h"

#include <algorithm>
#include <iterator>

#include "service/admin/openapi.h"

namespace conclave::service {
namespace {

struct Asset {
  std::string_view path;
  std::string_view type;
  std::string_view text;
};
struct ErrorText {
  std::string_view id;
  std::string_view message;
};

// kAssets and kErrorTexts.
#include "service/admin/embedded.inc"

}  // namespace

std::optional<HttpAnswer> page(const HttpRequest& request) {
  if (request.method != HttpMethod::kGet) return std::nullopt;
  HttpAnswer answer;
  if (request.path == "/openapi.json") {
    answer.body = openapi_document();
    return answer;
  }
  const auto* asset =
      std::find_if(std::begin(kAssets), std::end(kAssets), [&request](const Asset& a) {
        return a.path == request.path || (a.path == "/admin" && request.path == "/admin/");
      });
  if (asset == std::end(kAssets)) return std::nullopt;
  answer.body = asset->text;
  answer.content_type = asset->type;
  answer.page = true;
  return answer;
}

std::string_view message_of_error(std::string_view id) {
  const auto* found = std::find_if(std::begin(kErrorTexts), std::end(kErrorTexts),
                                   [id](const ErrorText& e) { return e.id == id; });
  return found == std::end(kErrorTexts) ? std::string_view() : found->message;
}

}  // namespace conclave::service
