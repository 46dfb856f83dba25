// SPDX-License-Identifier: Apache-2.0
#include "control/provisioning/config_fetcher.h"

#include <algorithm>

#include "base/log.h"
#include "control/conference/service_api.h"
#include "control/errors/catalogue.h"

namespace conclave::control {
namespace {

/// A plain name beside the first file: nothing that could lead elsewhere.
bool plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 128 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_';
         });
}

/// The first include that is not in `got`; empty when all are there or refused.
std::string missing_include(const std::map<std::string, std::string>& got) {
  std::string missing;
  ConfigRules rules;
  rules.include = [&](const std::string& name) -> Result<std::string> {
    if (const auto at = got.find(name); at != got.end()) return at->second;
    if (missing.empty() && plain_name(name)) missing = name;
    return Error{"not fetched"};
  };
  (void)parse_configuration(got.at(ConfigFetcher::kFirst), ConfigFetcher::kFirst, rules);
  return missing;
}

bool text_type(const std::string& type) {
  return type.empty() || type.starts_with("text/plain") ||
         type.starts_with("application/octet-stream");
}

}  // namespace

void ConfigFetcher::fetch(const std::string& base, const std::string& query,
                          std::chrono::milliseconds timeout, Done done) {
  cancel();
  if (base != base_) kept_.clear();
  base_ = base;
  query_ = query;
  timeout_ = timeout;
  done_ = std::move(done);
  got_.clear();
  ask(kFirst);
}

void ConfigFetcher::cancel() {
  if (request_ != 0) client_->cancel(request_);
  request_ = 0;
  done_ = nullptr;
  ++*round_;
}

void ConfigFetcher::ask(const std::string& name) {
  RestRequest request;
  request.url = base_ + "/" + name + (name == kFirst && !query_.empty() ? "?" + query_ : "");
  request.accept = "text/plain, application/octet-stream;q=0.5";
  request.timeout = timeout_;
  request.max_answer = kMaxConfigBytes;
  if (const auto at = kept_.find(name); at != kept_.end()) request.etag = at->second.etag;
  request_ = client_->send(std::move(request), [this, loop = loop_, round = round_, now = *round_,
                                                name](RestResponse r) {
    loop->post([this, round, now, name, response = std::move(r)]() mutable {
      if (*round == now) answered(name, std::move(response));
    });
  });
}

void ConfigFetcher::answered(const std::string& name, RestResponse response) {
  request_ = 0;
  if (response.too_long) {
    FetchedConfiguration bad;
    bad.name = kFirst;
    bad.problem = ConfigProblem{name, 0, {}, "the file is larger than 1 MiB"};
    return finish({std::move(bad), std::nullopt});
  }
  if (response.status == 304) {
    const auto at = kept_.find(name);
    if (at == kept_.end()) return finish({std::nullopt, Failure{catalogue_error("JOIN-984"), {}}});
    got_[name] = at->second.text;
    return next();
  }
  if (response.failure || response.status / 100 != 2) {
    if (response.failure) {
      log::info("provisioning", "request failed",
                {{"file", name}, {"id", response.failure->id}, {"why", response.detail}});
    }
    const ServiceFailure failed =
        failure_of(response, response.status == 404 ? "ACT-404" : "JOIN-984");
    return finish({std::nullopt, Failure{failed.error, failed.detail}});
  }
  if (!text_type(response.type)) {
    // A sign-in page of the network, for example.
    return finish(
        {std::nullopt,
         Failure{catalogue_error("JOIN-984", name + " is of type " + response.type), {}}});
  }
  if (response.etag.empty()) {
    kept_.erase(name);
  } else {
    kept_[name] = {response.etag, response.body};
  }
  got_[name] = std::move(response.body);
  next();
}

void ConfigFetcher::next() {
  // More than the parser would take is refused by it, with the line.
  const bool more = got_.size() <= static_cast<std::size_t>(kMaxConfigFiles);
  if (const std::string missing = more ? missing_include(got_) : ""; !missing.empty()) {
    return ask(missing);
  }
  FetchedConfiguration all;
  all.name = kFirst;
  all.text = got_.at(kFirst);
  all.parts = got_;
  finish({std::move(all), std::nullopt});
}

void ConfigFetcher::finish(Outcome outcome) {
  const Done done = std::move(done_);
  done_ = nullptr;
  if (done) done(std::move(outcome));
}

}  // namespace conclave::control
