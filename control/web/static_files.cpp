// SPDX-License-Identifier: Apache-2.0
#include "control/web/static_files.h"

#include <openssl/evp.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/log.h"

namespace conclave::control::web {
namespace {

namespace fs = std::filesystem;

std::string_view type_of(std::string_view path) {
  struct Entry {
    std::string_view ending, type;
  };
  static constexpr Entry kTypes[] = {{".html", "text/html; charset=utf-8"},
                                     {".js", "text/javascript; charset=utf-8"},
                                     {".mjs", "text/javascript; charset=utf-8"},
                                     {".css", "text/css; charset=utf-8"},
                                     {".json", "application/json"},
                                     {".map", "application/json"},
                                     {".webmanifest", "application/manifest+json"},
                                     {".svg", "image/svg+xml"},
                                     {".png", "image/png"},
                                     {".ico", "image/x-icon"},
                                     {".woff2", "font/woff2"},
                                     {".txt", "text/plain; charset=utf-8"}};
  for (const Entry& entry : kTypes) {
    if (path.ends_with(entry.ending)) return entry.type;
  }
  return "application/octet-stream";
}

std::string etag_of(const std::string& content) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_Digest(content.data(), content.size(), digest.data(), &length, EVP_sha256(), nullptr);
  std::string tag = "\"";
  for (unsigned int i = 0; i < 12; ++i) {
    tag += "0123456789abcdef"[digest[i] >> 4];
    tag += "0123456789abcdef"[digest[i] & 15];
  }
  return tag + "\"";
}

constexpr std::string_view kNoApp =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Conclave</title>"
    "<h1>Conclave</h1><p>The phone is running, but its browser app is not installed. Build it in "
    "the folder ui-web and start the phone with --ui DIR.</p></html>";

}  // namespace

StaticFiles StaticFiles::load(const std::string& folder) {
  StaticFiles result;
  std::size_t total = 0;
  std::error_code ec;
  if (!folder.empty()) {
    for (fs::recursive_directory_iterator at(folder, ec), end; !ec && at != end; at.increment(ec)) {
      if (!at->is_regular_file(ec)) continue;
      const std::string name = "/" + fs::relative(at->path(), folder, ec).generic_string();
      std::ifstream in(at->path(), std::ios::binary);
      auto content = std::make_shared<std::string>(std::istreambuf_iterator<char>(in),
                                                   std::istreambuf_iterator<char>());
      total += content->size();
      if (total > kMaxBytes) {
        log::warning("web", "the browser app is too large; the rest is left out",
                     {{"folder", folder}});
        break;
      }
      if (name.ends_with(".gz")) {
        result.files_[name.substr(0, name.size() - 3)].gzip = std::move(content);
      } else if (name.ends_with(".br")) {
        result.files_[name.substr(0, name.size() - 3)].brotli = std::move(content);
      } else {
        result.files_[name].plain = std::move(content);
      }
    }
  }
  std::erase_if(result.files_, [](const auto& entry) { return !entry.second.plain; });
  if (!result.files_.contains("/index.html")) {
    log::warning("web", "there is no browser app", {{"folder", folder}});
    result.files_["/index.html"].plain = std::make_shared<std::string>(kNoApp);
  }
  for (auto& [name, file] : result.files_) {
    file.type = type_of(name);
    file.etag = etag_of(*file.plain);
    file.immutable = name.starts_with("/assets/");
  }
  return result;
}

Response StaticFiles::serve(const Request& request) const {
  auto found = files_.find(request.path);
  if (found == files_.end()) {
    const bool page = request.path.find('.') == std::string::npos &&
                      !request.path.starts_with("/api/") && !request.path.starts_with("/assets/");
    if (!page) return Response::error(404, "there is nothing here");
    found = files_.find("/index.html");
  }
  const File& file = found->second;
  Response response;
  response.content_type = file.type;
  response.headers = {
      {"cache-control", file.immutable ? "public, max-age=31536000, immutable" : "no-cache"},
      {"etag", file.etag},
      {"vary", "accept-encoding"}};
  if (request.if_none_match == file.etag) {
    response.status = 304;
    return response;
  }
  response.body = file.plain;
  if (file.brotli && request.accept_encoding.find("br") != std::string::npos) {
    response.body = file.brotli;
    response.headers.emplace_back("content-encoding", "br");
  } else if (file.gzip && request.accept_encoding.find("gzip") != std::string::npos) {
    response.body = file.gzip;
    response.headers.emplace_back("content-encoding", "gzip");
  }
  return response;
}

}  // namespace conclave::control::web
