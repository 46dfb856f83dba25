// SPDX-License-Identifier: Apache-2.0
#include "control/web/server.h"

#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "control/rpc/dispatcher.h"
#include "control/web/exchange.h"
#include "control/web/frame_guard.h"
#include "control/web/socket_client.h"

namespace conclave::control::web {
namespace {

/// libwebsockets hands this back for each connection; it clears it and knows no constructors.
struct PerConnection {
  Exchange* exchange;
  SocketClient* socket;
};

constexpr std::string_view kSubprotocol = "conclave.v1";
constexpr std::string_view kSocketPath = "/api/v1/socket";

void emit_log(int level, const char* line) {
  std::string_view text(line);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  log::write(level == LLL_ERR ? log::Level::kWarning : log::Level::kDebug, "web", text);
}

class LwsServer final : public Server {
 public:
  LwsServer(const ServerConfig& config, StateTree& state, Handler& handler, SocketHandler& sockets)
      : config_(config),
        state_(&state),
        handler_(&handler),
        socket_handler_(&sockets),
        wake_(std::make_shared<Wake>()) {}

  ~LwsServer() override {
    {
      // After this no other thread touches the context.
      const std::lock_guard lock(wake_->mutex);
      wake_->stopping = true;
      if (wake_->context != nullptr) lws_cancel_service(wake_->context);
    }
    if (thread_.joinable()) thread_.join();
    {
      const std::lock_guard lock(wake_->mutex);
      wake_->context = nullptr;
    }
    if (context_ != nullptr) lws_context_destroy(context_);
  }

  Status start();
  int port() const override { return port_; }
  int sockets() const override { return socket_count_; }
  void post(std::function<void()> task) override { wake_->post(std::move(task)); }
  void publish_meters(std::string frame) override {
    auto shared = std::make_shared<const std::string>(std::move(frame));
    post([this, shared] {
      for (auto& [id, client] : clients_) client->offer_meters(shared);
    });
  }

 private:
  /// What other threads may touch; they may outlive the server with an answer in hand.
  struct Wake {
    std::mutex mutex;
    lws_context* context = nullptr;
    std::deque<std::function<void()>> tasks;
    bool stopping = false;
    bool state_changed = false;

    void post(std::function<void()> task) {
      const std::lock_guard lock(mutex);
      if (stopping || context == nullptr) return;
      tasks.push_back(std::move(task));
      lws_cancel_service(context);
    }
    void note_state() {
      const std::lock_guard lock(mutex);
      if (stopping || context == nullptr || state_changed) return;
      state_changed = true;
      lws_cancel_service(context);
    }
  };

  static int http_entry(lws* wsi, lws_callback_reasons reason, void* user, void* in,
                        std::size_t length) {
    auto* self = static_cast<LwsServer*>(lws_context_user(lws_get_context(wsi)));
    return self->on_http(wsi, reason, static_cast<PerConnection*>(user), in, length);
  }
  static int socket_entry(lws* wsi, lws_callback_reasons reason, void* user, void* in,
                          std::size_t length) {
    auto* self = static_cast<LwsServer*>(lws_context_user(lws_get_context(wsi)));
    return self->on_socket(wsi, reason, static_cast<PerConnection*>(user), in, length);
  }
  int on_http(lws* wsi, lws_callback_reasons reason, PerConnection* connection, void* in,
              std::size_t length);
  int on_socket(lws* wsi, lws_callback_reasons reason, PerConnection* connection, void* in,
                std::size_t length);
  int begin_request(lws* wsi, PerConnection& connection);
  int hand_over(lws* wsi, Exchange& exchange);
  int confirm_upgrade(lws* wsi, const char* protocol);
  void receive_message(SocketClient& client);
  void finish(PerConnection& connection);
  void woken();
  void each_second();

  ServerConfig config_;
  StateTree* state_;
  Handler* handler_;
  SocketHandler* socket_handler_;
  std::shared_ptr<Wake> wake_;
  std::unique_ptr<Guard> guard_;
  lws_context* context_ = nullptr;
  lws_protocols protocols_[3]{};
  lws_retry_bo_t retry_{};
  int port_ = 0;
  int connections_ = 0;
  std::atomic<int> socket_count_{0};
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::pair<lws*, Exchange*>> exchanges_;
  std::map<std::uint64_t, SocketClient*> clients_;
  std::chrono::steady_clock::time_point last_check_{};
  std::thread thread_;
};

Status LwsServer::start() {
  lws_set_log_level(LLL_ERR | LLL_WARN, emit_log);
  protocols_[0].name = "http";
  protocols_[0].callback = http_entry;
  protocols_[0].per_session_data_size = sizeof(PerConnection);
  protocols_[1].name = kSubprotocol.data();
  protocols_[1].callback = socket_entry;
  protocols_[1].per_session_data_size = sizeof(PerConnection);
  protocols_[1].rx_buffer_size = 4096;
  retry_.secs_since_valid_ping = 20;
  retry_.secs_since_valid_hangup = 45;

  lws_context_creation_info info{};
  const bool v6 = config_.address.find(':') != std::string::npos;
  const bool any = config_.address == "0.0.0.0" || config_.address == "::";
  info.port = config_.port;
  info.iface = any ? nullptr : config_.address.c_str();
  info.protocols = protocols_;
  info.user = this;
  info.gid = info.uid = static_cast<decltype(info.uid)>(-1);
  info.vhost_name = "conclave";
  info.ssl_cert_filepath = config_.certificate_file.c_str();
  info.ssl_private_key_filepath = config_.key_file.c_str();
  info.ssl_options_set = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_RENEGOTIATION |
                         SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE;
  info.ssl_cipher_list = "ECDHE+AESGCM:ECDHE+CHACHA20";
  info.alpn = "http/1.1";
  info.server_string = "conclave";
  info.max_http_header_data2 = 8192;
  info.max_http_header_pool2 = 64;
  info.timeout_secs = 10;
  info.keepalive_timeout = 30;
  info.retry_and_idle_policy = &retry_;
  info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_VALIDATE_UTF8 |
                 LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
  if (!v6) info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
  context_ = lws_create_context(&info);
  lws_vhost* vhost = context_ != nullptr ? lws_get_vhost_by_name(context_, "conclave") : nullptr;
  if (vhost == nullptr) {
    return Error{"the web interface cannot listen on " + config_.address + " port " +
                 std::to_string(config_.port) +
                 "; choose another by Web.Listen.Address and Web.Listen.Port"};
  }
  port_ = lws_get_vhost_listen_port(vhost);
  guard_ = std::make_unique<Guard>(config_.names, port_);
  wake_->context = context_;
  state_->listen([wake = wake_] { wake->note_state(); });
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "web");
    for (;;) {
      {
        const std::lock_guard lock(wake_->mutex);
        if (wake_->stopping) return;
      }
      if (lws_service(context_, 0) < 0) return;
      if (const auto now = std::chrono::steady_clock::now();
          now - last_check_ >= std::chrono::seconds(1)) {
        last_check_ = now;
        each_second();
      }
    }
  });
  return {};
}

void LwsServer::woken() {
  std::deque<std::function<void()>> tasks;
  bool state_changed = false;
  {
    const std::lock_guard lock(wake_->mutex);
    tasks.swap(wake_->tasks);
    state_changed = std::exchange(wake_->state_changed, false);
  }
  for (const auto& task : tasks) task();
  if (state_changed) {
    for (auto& [id, client] : clients_) client->wake_if_behind();
  }
}

void LwsServer::each_second() {
  for (auto& [id, client] : clients_) {
    if (!socket_handler_->session_alive(client->session())) {
      client->end(4401, "logged out");
    }
  }
}

void LwsServer::finish(PerConnection& connection) {
  if (connection.exchange == nullptr) return;
  exchanges_.erase(connection.exchange->id);
  delete connection.exchange;
  connection.exchange = nullptr;
}

int LwsServer::begin_request(lws* wsi, PerConnection& connection) {
  finish(connection);
  auto exchange = std::make_unique<Exchange>(next_id_++);
  exchange->request = read_request(wsi);
  connection.exchange = exchange.get();
  exchanges_[exchange->id] = {wsi, exchange.get()};
  Exchange& now = *exchange.release();
  const int refused = guard_->check(now.request, config_.max_body);
  if (refused != 0) {
    if (!guard_->host_ok(now.request.host)) now.request.host = "invalid";
    // What follows on this connection cannot be trusted to be a request's start.
    return now.begin(wsi, Response::error(refused, "request refused"), false) ? 0 : -1;
  }
  if (now.request.method == Method::kPost) {
    now.expected = std::stoull(now.request.content_length);
    if (now.expected > 0) return 0;  // the body comes
  }
  return hand_over(wsi, now);
}

int LwsServer::hand_over(lws* /*wsi*/, Exchange& exchange) {
  if (exchange.handed) return 0;
  exchange.handed = true;
  // The answer may come at once, on this thread: it goes through the same door as a late one.
  handler_->handle(exchange.request, [this, wake = wake_, id = exchange.id](Response response) {
    wake->post([this, id, response = std::move(response)]() mutable {
      const auto found = exchanges_.find(id);
      if (found == exchanges_.end()) return;
      auto [wsi, waiting] = found->second;
      waiting->ready = std::move(response);
      lws_callback_on_writable(wsi);
    });
  });
  return 0;
}

int LwsServer::confirm_upgrade(lws* wsi, const char* protocol) {
  const Request request = read_request(wsi);
  int status = 0;
  // NOLINTNEXTLINE(bugprone-branch-clone): in the order of the checks, whatever they answer
  if (std::strcmp(protocol, "websocket") != 0 || request.path != kSocketPath) {
    status = 400;
  } else if (const int refused = guard_->check(request, 0); refused != 0) {
    status = refused;
  } else if (!Guard::origin_ok(request.origin, request.host)) {
    status = 403;
  } else if (request.websocket_version != "13") {
    status = 426;
  } else if (request.websocket_protocol != kSubprotocol) {
    status = 400;
  } else if (socket_count_ >= config_.max_sockets) {
    status = 503;
  } else {
    status = handler_->accept_socket(request);
    // Frames that came along with the request cannot be checked, and no honest client sends any.
    if (status == 0 && !guard_frames(lws_get_ssl(wsi))) status = 400;
  }
  if (status == 0) return 0;
  lws_return_http_status(wsi, static_cast<unsigned>(status), nullptr);
  return -1;
}

int LwsServer::on_http(lws* wsi, lws_callback_reasons reason, PerConnection* connection, void* in,
                       std::size_t length) {
  switch (reason) {
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
      woken();
      return 0;
    case LWS_CALLBACK_FILTER_NETWORK_CONNECTION:
      return connections_ >= config_.max_connections ? 1 : 0;
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
      ++connections_;
      return 0;
    case LWS_CALLBACK_WSI_DESTROY:
      if (connections_ > 0) --connections_;
      return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
      return confirm_upgrade(wsi, static_cast<const char*>(in));
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
    case LWS_CALLBACK_ESTABLISHED:
      return -1;  // a WebSocket without our subprotocol
    case LWS_CALLBACK_HTTP:
      return begin_request(wsi, *connection);
    case LWS_CALLBACK_HTTP_BODY: {
      Exchange* now = connection->exchange;
      if (now == nullptr || now->begun || now->handed) return 0;
      if (length > now->expected) return -1;
      now->request.body.append(static_cast<const char*>(in), length);
      now->expected -= length;
      return 0;
    }
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: {
      Exchange* now = connection->exchange;
      if (now == nullptr || now->begun) return 0;
      return hand_over(wsi, *now);
    }
    case LWS_CALLBACK_HTTP_WRITEABLE: {
      Exchange* now = connection->exchange;
      if (now == nullptr) return 0;
      if (now->ready) {
        Response response = std::move(*now->ready);
        now->ready.reset();
        return now->begin(wsi, std::move(response), true) ? 0 : -1;
      }
      if (!now->begun) return 0;
      return now->proceed(wsi) ? 0 : -1;
    }
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
      if (connection != nullptr) finish(*connection);
      return 0;
    default:
      return 0;
  }
}

void LwsServer::receive_message(SocketClient& client) {
  client.count_request(config_);
  std::string text = client.take_message();
  // The one method about the transport itself: which state this client has.
  const nlohmann::json request = parse_json(text);
  if (request.is_object() && request.value("method", nlohmann::json()) == "state.resync") {
    const nlohmann::json answer{{"jsonrpc", "2.0"},
                                {"id", request.value("id", nlohmann::json())},
                                {"result", client.follower().resync()}};
    client.answer(dump_json(answer));
    return;
  }
  socket_handler_->message(client.session(), client.address(), std::move(text),
                           [this, wake = wake_, id = client.id](std::string reply) {
                             wake->post([this, id, reply = std::move(reply)]() mutable {
                               const auto found = clients_.find(id);
                               if (found != clients_.end()) found->second->answer(std::move(reply));
                             });
                           });
}

int LwsServer::on_socket(lws* wsi, lws_callback_reasons reason, PerConnection* connection, void* in,
                         std::size_t length) {
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: {
      connection->socket = new SocketClient(
          next_id_++, wsi, *state_,
          cookie_value(header(wsi, WSI_TOKEN_HTTP_COOKIE), "__Host-session"), peer_address(wsi));
      clients_[connection->socket->id] = connection->socket;
      ++socket_count_;
      lws_callback_on_writable(wsi);
      return 0;
    }
    case LWS_CALLBACK_RECEIVE: {
      if (connection->socket == nullptr) return -1;
      switch (connection->socket->receive(in, length, config_)) {
        case SocketClient::Received::kMore:
          return 0;
        case SocketClient::Received::kClose:
          return -1;
        case SocketClient::Received::kMessage:
          receive_message(*connection->socket);
          return 0;
      }
      return 0;
    }
    case LWS_CALLBACK_SERVER_WRITEABLE:
      return connection->socket != nullptr && connection->socket->write_one() ? 0 : -1;
    case LWS_CALLBACK_CLOSED:
      if (connection->socket != nullptr) {
        clients_.erase(connection->socket->id);
        delete connection->socket;
        connection->socket = nullptr;
        --socket_count_;
      }
      return 0;
    case LWS_CALLBACK_WSI_DESTROY:
      if (connections_ > 0) --connections_;
      return 0;
    default:
      return 0;
  }
}

}  // namespace

Result<std::unique_ptr<Server>> Server::create(const ServerConfig& config, StateTree& state,
                                               Handler& handler, SocketHandler& sockets) {
  auto server = std::make_unique<LwsServer>(config, state, handler, sockets);
  CONCLAVE_CHECK_STATUS(server->start());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace conclave::control::web
