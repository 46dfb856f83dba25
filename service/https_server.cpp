// SPDX-License-Identifier: Apache-2.0
#include "service/https_server.h"

#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstring>
#include <set>
#include <string_view>
#include <thread>

#include "base/log.h"
#include "service/secrets.h"

namespace conclave::service {
namespace {

constexpr const char* kLog = "service.https";
constexpr int kIdleSeconds = 15;  // between two requests on one connection
constexpr std::size_t kDrainBytes = 64 * 1024;
// Of faults on order: how long nothing is said, and how much is sent "for ever".
constexpr int kSilentSeconds = 120;
constexpr std::size_t kEndlessBytes = 16 * 1024 * 1024;
constexpr std::size_t kEndlessChunk = 4096;
// Style and script from here alone; no frames, no forms that lead elsewhere.
constexpr const char* kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The certificate (DER) that the client has shown and proven to hold the key of.
std::string client_certificate(lws* wsi) {
  SSL* ssl = lws_get_ssl(wsi);
  X509* certificate = ssl != nullptr ? SSL_get_peer_certificate(ssl) : nullptr;
  if (certificate == nullptr) return {};
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  X509_free(certificate);
  if (size <= 0) return {};
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

/// One request on its way through.
struct Exchange {
  enum class State { kReading, kWaiting, kHead, kBody, kEndless, kSlow, kSilent };
  State state = State::kReading;
  HttpRequest request{};
  std::size_t to_read = 0;
  bool discard = false;  ///< the body is refused and only read away
  bool close = false;    ///< no second request on this connection
  HttpAnswer answer{};
  std::size_t sent = 0;  ///< of an answer that goes out badly on order
};

HttpAnswer refusal(int status, const char* message) {
  return {status, std::string(R"({"error":{"id":"JOIN-984","message":")") + message + R"("}})"};
}

/// What the library keeps for each connection: where our Exchange is.
constexpr std::size_t kPointerBytes = sizeof(void*);

class LwsServer final : public HttpsServer {
 public:
  explicit LwsServer(const HttpsConfig& config, Handler handler)
      : config_(config), handler_(std::move(handler)) {
    protocols_[0] = {"http", &LwsServer::callback, kPointerBytes, 0, 0, nullptr, 0};
    protocols_[1] = {nullptr, nullptr, 0, 0, 0, nullptr, 0};
  }

  ~LwsServer() override {
    stopping_.store(true);
    if (context_ != nullptr) lws_cancel_service(context_);
    if (thread_.joinable()) thread_.join();
    if (context_ != nullptr) lws_context_destroy(context_);
  }

  Status start() {
    lws_set_log_level(LLL_ERR | LLL_WARN, [](int level, const char* line) {
      std::string_view text(line);
      while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
      log::write(level == LLL_ERR ? log::Level::kWarning : log::Level::kDebug, kLog, text);
    });
    lws_context_creation_info info{};
    info.port = config_.port;
    info.iface = config_.address.c_str();
    info.protocols = protocols_.data();
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   // A phone may show its certificate. Whichever it is, the handshake goes on: who
                   // cares which one it is compares its digest.
                   LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT |
                   LWS_SERVER_OPTION_PEER_CERT_NOT_REQUIRED;
    // With IPv6 switched on, the library takes an IPv4 literal for "every interface".
    if (config_.address.find(':') == std::string::npos) {
      info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
    }
    info.user = this;
    info.gid = static_cast<gid_t>(-1);
    info.uid = static_cast<uid_t>(-1);
    info.ssl_cert_filepath = config_.certificate_file.c_str();
    info.ssl_private_key_filepath = config_.key_file.c_str();
    info.ssl_options_set = static_cast<long>(SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 |
                                             SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    info.alpn = "http/1.1";
    info.keepalive_timeout = kIdleSeconds;
    info.timeout_secs = static_cast<unsigned>(config_.request_timeout_s);
    info.timeout_secs_ah_idle = static_cast<unsigned>(config_.request_timeout_s);
    info.max_http_header_data = 4096;
    info.max_http_header_pool = static_cast<unsigned short>(config_.max_connections);
    info.fd_limit_per_thread = static_cast<unsigned>(config_.max_connections + 32);
    info.vhost_name = "conclave";
    context_ = lws_create_context(&info);
    if (context_ == nullptr) return Error{"Cannot start the HTTPS server"};
    lws_vhost* vhost = lws_create_vhost(context_, &info);
    if (vhost == nullptr) {
      return Error{"Cannot listen on " + config_.address + " port " + std::to_string(config_.port) +
                   " for HTTPS; choose another port or address, and check the certificate files"};
    }
    port_ = lws_get_vhost_listen_port(vhost);
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "https");
      while (!stopping_.load() && lws_service(context_, 0) >= 0) {
      }
    });
    return {};
  }

  int port() const override { return port_; }
  void notify() override { lws_cancel_service(context_); }

 private:
  static int callback(lws* wsi, lws_callback_reasons reason, void* user, void* in,
                      std::size_t length) {
    auto* self = static_cast<LwsServer*>(lws_context_user(lws_get_context(wsi)));
    auto** slot = static_cast<Exchange**>(user);
    return self->on_event(wsi, reason, slot, in, length);
  }

  int on_event(lws* wsi, lws_callback_reasons reason, Exchange** slot, void* in,
               std::size_t length) {
    switch (reason) {
      case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
        return connections_.size() >= static_cast<std::size_t>(config_.max_connections) ? 1 : 0;
      case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        connections_.insert(wsi);
        arm(wsi, config_.request_timeout_s);
        return 0;
      case LWS_CALLBACK_FILTER_HTTP_CONNECTION:
        return 0;
      case LWS_CALLBACK_HTTP:
        if (slot == nullptr) return -1;
        return begin(wsi, *slot, std::string_view(static_cast<const char*>(in), length));
      case LWS_CALLBACK_HTTP_BODY:
        return slot == nullptr || *slot == nullptr
                   ? -1
                   : body(wsi, **slot, std::string_view(static_cast<const char*>(in), length));
      case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        if (slot == nullptr || *slot == nullptr) return -1;
        if ((*slot)->state != Exchange::State::kReading) return 0;
        return complete(wsi, **slot);
      case LWS_CALLBACK_HTTP_WRITEABLE:
        return slot == nullptr || *slot == nullptr ? 0 : write(wsi, *slot);
      case LWS_CALLBACK_TIMER:
        if (slot != nullptr && *slot != nullptr && (*slot)->state == Exchange::State::kWaiting) {
          (*slot)->request.final = true;
          return ask(wsi, **slot);
        }
        if (slot != nullptr && *slot != nullptr && (*slot)->state == Exchange::State::kSlow) {
          lws_callback_on_writable(wsi);
          return 0;
        }
        return -1;  // too slow
      case LWS_CALLBACK_EVENT_WAIT_CANCELLED: {
        const auto waiting = waiting_;  // asking changes the set
        for (const auto& [w, exchange] : waiting) ask(w, *exchange);
        return 0;
      }
      case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
      case LWS_CALLBACK_CLOSED_HTTP:
        if (slot != nullptr) drop(wsi, *slot);
        return 0;
      case LWS_CALLBACK_WSI_DESTROY:
        connections_.erase(wsi);
        return 0;
      default:
        return 0;
    }
  }

  // The timer is never pushed back by single bytes that drip in, unlike the library's own.
  static void arm(lws* wsi, int seconds) {
    lws_set_timer_usecs(wsi, static_cast<lws_usec_t>(seconds) * LWS_USEC_PER_SEC);
  }

  static std::string header(lws* wsi, lws_token_indexes token) {
    const int size = lws_hdr_total_length(wsi, token);
    if (size <= 0) return {};
    std::string text(static_cast<std::size_t>(size) + 1, '\0');
    const int got = lws_hdr_copy(wsi, text.data(), static_cast<int>(text.size()), token);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

  bool host_allowed(std::string host) const {
    if (!host.empty() && host.front() == '[') {
      host = host.substr(1, host.find(']') == std::string::npos ? 0 : host.find(']') - 1);
    } else if (const auto colon = host.rfind(':'); colon != std::string::npos) {
      host.resize(colon);
    }
    std::transform(host.begin(), host.end(), host.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (host == "localhost" || host == "127.0.0.1" || host == "::1") return true;
    return host == config_.address ||
           std::find(config_.host_names.begin(), config_.host_names.end(), host) !=
               config_.host_names.end();
  }

  /// Long polls; the rest are answered at once.
  std::size_t most_waiting() const {
    return static_cast<std::size_t>(config_.max_connections) * 4 / 5;
  }

  /// A request that one of our own pages makes, where pages may.
  bool own_page(lws* wsi, std::string_view path) const {
    const std::string& base = config_.browser_path;
    if (base.empty() || !path.starts_with(base)) return false;
    if (path.size() > base.size() && path[base.size()] != '/') return false;
    return header(wsi, WSI_TOKEN_ORIGIN) == "https://" + header(wsi, WSI_TOKEN_HOST);
  }

  /// What is wrong with the head of the request; status 0: nothing.
  HttpAnswer check_head(lws* wsi, int method, std::string_view path, std::size_t body_bytes,
                        bool has_length) const {
    if (method != LWSHUMETH_GET && method != LWSHUMETH_POST && method != LWSHUMETH_DELETE) {
      return refusal(405, "method not allowed");
    }
    if (!host_allowed(header(wsi, WSI_TOKEN_HOST))) return refusal(421, "unknown host");
    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0 && !own_page(wsi, path)) {
      return refusal(403, "no requests from browsers");
    }
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0) {
      return refusal(501, "transfer encodings are not supported");
    }
    if (method == LWSHUMETH_POST) {
      if (!has_length) return refusal(411, "length required");
      const bool roomy = std::any_of(config_.roomy_paths.begin(), config_.roomy_paths.end(),
                                     [path](const auto& p) { return path.starts_with(p); });
      if (body_bytes > (roomy ? config_.roomy_body_bytes : config_.max_body_bytes)) {
        return refusal(413, "body too long");
      }
      const std::string type = header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE);
      if (body_bytes > 0 && type != "application/json" && type.rfind("application/json;", 0) != 0) {
        return refusal(415, "body must be application/json");
      }
    } else if (body_bytes > 0) {
      return refusal(400, "unexpected body");
    }
    HttpAnswer good;
    good.status = 0;
    return good;
  }

  int begin(lws* wsi, Exchange*& slot, std::string_view path) {
    drop(wsi, slot);
    slot = new Exchange;
    Exchange& exchange = *slot;
    char* uri = nullptr;
    int uri_length = 0;
    const int method = lws_http_get_uri_and_method(wsi, &uri, &uri_length);
    const std::string length_text = header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    std::size_t length = 0;
    const auto [end, error] =
        std::from_chars(length_text.data(), length_text.data() + length_text.size(), length);
    if (!length_text.empty() &&
        (error != std::errc() || end != length_text.data() + length_text.size())) {
      return -1;  // no way to tell where the request ends
    }
    HttpAnswer refused = check_head(wsi, method, path, length, !length_text.empty());
    if (refused.status != 0) {
      exchange.close = true;
      // A short body is read away first, so that the answer is not lost in a reset.
      if (length > 0 && length <= kDrainBytes) {
        exchange.discard = true;
        exchange.to_read = length;
        exchange.answer = std::move(refused);
        return 0;
      }
      return reply(wsi, exchange, std::move(refused));
    }
    auto& request = exchange.request;
    request.method = method == LWSHUMETH_GET    ? HttpMethod::kGet
                     : method == LWSHUMETH_POST ? HttpMethod::kPost
                                                : HttpMethod::kDelete;
    request.path = path;
    std::array<char, 512> fragment{};
    for (int i = 0; lws_hdr_copy_fragment(wsi, fragment.data(), static_cast<int>(fragment.size()),
                                          WSI_TOKEN_HTTP_URI_ARGS, i) > 0;
         ++i) {
      if (!request.query.empty()) request.query += '&';
      request.query += fragment.data();
    }
    const std::string authorization = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    constexpr std::string_view kBearer = "Bearer ";
    if (authorization.rfind(kBearer, 0) == 0) request.bearer = authorization.substr(kBearer.size());
    std::array<char, 64> peer{};
    lws_get_peer_simple(wsi, peer.data(), peer.size());
    request.peer = peer.data();
    request.certificate_der = client_certificate(wsi);
    if (!request.certificate_der.empty()) request.certificate = sha256_hex(request.certificate_der);
    request.if_none_match = header(wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH);
    exchange.to_read = length;
    return length == 0 ? complete(wsi, exchange) : 0;
  }

  int body(lws* wsi, Exchange& exchange, std::string_view bytes) {
    if (bytes.size() > exchange.to_read) return -1;
    exchange.to_read -= bytes.size();
    if (!exchange.discard) exchange.request.body += bytes;
    (void)wsi;
    return 0;
  }

  int complete(lws* wsi, Exchange& exchange) {
    if (exchange.to_read > 0) return -1;
    if (exchange.discard) return reply(wsi, exchange, std::move(exchange.answer));
    return ask(wsi, exchange);
  }

  int ask(lws* wsi, Exchange& exchange) {
    if (exchange.state == Exchange::State::kReading && waiting_.size() >= most_waiting()) {
      exchange.request.final = true;
    }
    HttpAnswer answer = handler_(exchange.request);
    if (answer.wait_s > 0 && !exchange.request.final) {
      if (exchange.state != Exchange::State::kWaiting) {
        exchange.state = Exchange::State::kWaiting;
        waiting_.insert({wsi, &exchange});
        lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
        arm(wsi, answer.wait_s);
      }
      return 0;
    }
    waiting_.erase({wsi, &exchange});
    if (answer.conduct == HttpAnswer::Conduct::kClose) return -1;
    if (answer.conduct == HttpAnswer::Conduct::kSilent) {
      exchange.state = Exchange::State::kSilent;
      lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
      arm(wsi, kSilentSeconds);
      return 0;
    }
    return reply(wsi, exchange, std::move(answer));
  }

  int reply(lws* wsi, Exchange& exchange, HttpAnswer answer) {
    exchange.answer = std::move(answer);
    exchange.close = exchange.close || exchange.answer.status >= 400 ||
                     exchange.answer.conduct != HttpAnswer::Conduct::kProper;
    exchange.state = Exchange::State::kHead;
    arm(wsi, config_.request_timeout_s);
    lws_callback_on_writable(wsi);
    return 0;
  }

  int write(lws* wsi, Exchange*& slot) {
    Exchange& exchange = *slot;
    if (exchange.state == Exchange::State::kHead) return write_head(wsi, slot);
    if (exchange.state == Exchange::State::kEndless || exchange.state == Exchange::State::kSlow) {
      return write_badly(wsi, exchange);
    }
    if (exchange.state != Exchange::State::kBody) return 0;
    const std::string& text = exchange.answer.body;
    std::vector<unsigned char> buffer(LWS_PRE + text.size());
    std::memcpy(buffer.data() + LWS_PRE, text.data(), text.size());
    const int sent = lws_write(wsi, buffer.data() + LWS_PRE, text.size(), LWS_WRITE_HTTP_FINAL);
    return sent < static_cast<int>(text.size()) ? -1 : finish(wsi, slot);
  }

  /// On order: blanks without end, or one byte a second.
  static int write_badly(lws* wsi, Exchange& exchange) {
    const bool endless = exchange.state == Exchange::State::kEndless;
    const std::size_t size = endless ? kEndlessChunk : 1;
    if (exchange.sent >= (endless ? kEndlessBytes : exchange.answer.body.size())) return -1;
    std::vector<unsigned char> buffer(LWS_PRE + size, ' ');
    if (!endless) {
      buffer[LWS_PRE] = static_cast<unsigned char>(exchange.answer.body[exchange.sent]);
    }
    if (lws_write(wsi, buffer.data() + LWS_PRE, size, LWS_WRITE_HTTP) < 0) return -1;
    exchange.sent += size;
    if (endless) {
      lws_callback_on_writable(wsi);
    } else {
      lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
      arm(wsi, 1);
    }
    return 0;
  }

  int write_head(lws* wsi, Exchange*& slot) {
    Exchange& exchange = *slot;
    const HttpAnswer& answer = exchange.answer;
    std::array<unsigned char, LWS_PRE + 1024> buffer{};
    unsigned char* start = buffer.data() + LWS_PRE;
    unsigned char* p = start;
    unsigned char* end = buffer.data() + buffer.size() - 1;
    const auto add = [&](const char* name, const std::string& value) {
      return lws_add_http_header_by_name(wsi, reinterpret_cast<const unsigned char*>(name),
                                         reinterpret_cast<const unsigned char*>(value.data()),
                                         static_cast<int>(value.size()), &p, end) == 0;
    };
    bool ok = lws_add_http_header_status(wsi, static_cast<unsigned>(answer.status), &p, end) == 0;
    ok = ok && add("cache-control:", "no-store") && add("x-content-type-options:", "nosniff");
    if (!answer.body.empty()) ok = ok && add("content-type:", answer.content_type);
    if (!answer.location.empty()) ok = ok && add("location:", answer.location);
    if (!answer.etag.empty()) ok = ok && add("etag:", answer.etag);
    if (answer.status == 405) ok = ok && add("allow:", "GET, POST, DELETE");
    if (answer.retry_after_s > 0) {
      ok = ok && add("retry-after:", std::to_string(answer.retry_after_s));
    }
    if (answer.page) {
      ok = ok && add("content-security-policy:", kPagePolicy) &&
           add("referrer-policy:", "no-referrer") && add("x-frame-options:", "DENY") &&
           add("cross-origin-opener-policy:", "same-origin") &&
           add("cross-origin-resource-policy:", "same-origin");
    }
    if (exchange.close) ok = ok && add("connection:", "close");
    const bool endless = answer.conduct == HttpAnswer::Conduct::kEndless;
    if (answer.status != 204 && !endless) {
      ok = ok && lws_add_http_header_content_length(wsi, answer.body.size(), &p, end) == 0;
    }
    if (!ok || lws_finalize_write_http_header(wsi, start, &p, end) != 0) return -1;
    if (answer.body.empty()) return finish(wsi, slot);
    if (endless) arm(wsi, kSilentSeconds);  // a good answer's time limit would end it
    exchange.state = endless                                        ? Exchange::State::kEndless
                     : answer.conduct == HttpAnswer::Conduct::kSlow ? Exchange::State::kSlow
                                                                    : Exchange::State::kBody;
    lws_callback_on_writable(wsi);
    return 0;
  }

  int finish(lws* wsi, Exchange*& slot) {
    const bool close = slot->close;
    drop(wsi, slot);
    if (close) return -1;
    arm(wsi, kIdleSeconds);
    return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
  }

  void drop(lws* wsi, Exchange*& slot) {
    if (slot == nullptr) return;
    waiting_.erase({wsi, slot});
    delete slot;
    slot = nullptr;
  }

  const HttpsConfig config_;
  const Handler handler_;
  std::array<lws_protocols, 2> protocols_{};
  lws_context* context_ = nullptr;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::set<lws*> connections_;
  std::set<std::pair<lws*, Exchange*>> waiting_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HttpsServer>> HttpsServer::start(const HttpsConfig& config,
                                                        Handler handler) {
  auto server = std::make_unique<LwsServer>(config, std::move(handler));
  CONCLAVE_CHECK_STATUS(server->start());
  return std::unique_ptr<HttpsServer>(std::move(server));
}

}  // namespace conclave::service
