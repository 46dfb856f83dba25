// SPDX-License-Identifier: Apache-2.0
#include "media/sip/sofia_signalling.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <future>

#include "base/clock.h"
#include "base/log.h"
#include "media/sip/hosts_file.h"
#include "media/sip/sip_text.h"

namespace conclave::media {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr int kTickMs = 100;
constexpr char kAllow[] = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY";

void library_callback(nua_event_t event, int status, char const* phrase, nua_t*,
                      SofiaSignalling* self, nua_handle_t* handle, SofiaCall* call,
                      sip_t const* sip, tagi_t tags[]) {
  int state = -1;
  if (event == nua_i_state) tl_gets(tags, NUTAG_CALLSTATE_REF(state), TAG_END());
  self->on_event({event, status, phrase, handle, call, sip, state});
}

void tick_callback(su_root_magic_t*, su_timer_t*, SofiaSignalling* self) { self->on_tick(); }

/// A port that was free a moment ago.
std::uint16_t free_port(const std::string& address, SipTransport transport) {
  sockaddr_storage storage{};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  socklen_t size = sizeof *v4;
  if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
  } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    size = sizeof *v6;
  } else {
    return 0;
  }
  const int fd =
      socket(storage.ss_family,
             transport == SipTransport::kUdp ? SOCK_DGRAM : SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  std::uint16_t port = 0;
  auto* any = reinterpret_cast<sockaddr*>(&storage);
  if (bind(fd, any, size) == 0 && getsockname(fd, any, &size) == 0) {
    port = ntohs(storage.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
  }
  ::close(fd);
  return port;
}

bool library_started() {
  static const bool ok = [] {
    if (su_init() != 0) return false;
    redirect_sofia_log();
    return true;
  }();
  return ok;
}

}  // namespace

Result<std::unique_ptr<Signalling>> create_signalling(const SignallingConfig& config,
                                                      Signalling::Handler handler) {
  return SofiaSignalling::create(config, std::move(handler));
}

SofiaSignalling::SofiaSignalling(SignallingConfig config, Handler handler)
    : config_(std::move(config)), handler_(std::move(handler)) {}

Result<std::unique_ptr<Signalling>> SofiaSignalling::create(const SignallingConfig& config,
                                                            Handler handler) {
  CONCLAVE_CHECK_STATUS(check_signalling_config(config));
  if (!handler) return Error{"signalling needs an event handler"};
  if (!library_started()) return Error{"the SIP library could not be initialised"};
  std::unique_ptr<SofiaSignalling> self(new SofiaSignalling(config, std::move(handler)));
  std::promise<Status> opened;
  auto result = opened.get_future();
  self->thread_ = std::thread([raw = self.get(), &opened] {
    Status status = raw->open();
    const bool ok = status.ok();
    opened.set_value(std::move(status));
    if (ok) raw->run();
    raw->close();
  });
  if (auto status = result.get(); !status) return status.error();
  return std::unique_ptr<Signalling>(std::move(self));
}

SofiaSignalling::~SofiaSignalling() {
  loop_.post([this] {
    closing_ = true;
    close_deadline_ns_ = SystemClock::now() + 3 * kSecond;
    for (auto& [id, call] : calls_) hang_up_now(*call);
    if (nua_ != nullptr) nua_shutdown(nua_);
  });
  if (thread_.joinable()) thread_.join();
}

Status SofiaSignalling::open() {
  root_ = su_root_create(nullptr);
  if (root_ == nullptr) return Error{"the SIP library could not make its event loop"};
  su_root_threading(root_, 0);
  if (config_.transport == SipTransport::kTls) {
    CONCLAVE_CHECK_STATUS(prepare_tls_folder(
        config_.folder, config_.ca_file, config_.certificate_file, config_.key_file,
        config_.verify_server && config_.certificate_file.empty()));
    guard_ = std::make_unique<TlsGuard>(
        TlsGuard::Config{config_.verify_server,
                         config_.certificate_file.empty() ? "" : config_.folder + "/agent.pem"},
        [this] { return expected_names(); }, [this](const std::string& why) { tls_refused(why); });
  }
  Status status = Error{"the SIP port could not be opened"};
  const int attempts = config_.bind_port == 0 ? 8 : 1;
  // Another port helps when there is none to listen on; a wrong key stays wrong.
  for (int i = 0; i < attempts && !status && nua_ == nullptr; ++i) {
    const auto port = config_.bind_port != 0 ? config_.bind_port
                                             : free_port(config_.bind_address, config_.transport);
    status = make_agent(port);
  }
  CONCLAVE_CHECK_STATUS(std::move(status));
  if (!loop_.attach(root_)) return Error{"the SIP event loop took no wake-ups"};
  timer_ = su_timer_create(su_root_task(root_), kTickMs);
  if (timer_ == nullptr || su_timer_run(timer_, tick_callback, this) != 0) {
    return Error{"the SIP event loop took no timer"};
  }
  return {};
}

Status SofiaSignalling::make_agent(std::uint16_t port) {
  // The library opens a TLS port for the sips scheme alone.
  const std::string listen = (config_.transport == SipTransport::kTls ? "sips:" : "sip:") +
                             bracketed(config_.bind_address) + ":" + std::to_string(port) +
                             transport_parameter();
  const std::string domain = config_.domain.empty() ? config_.bind_address : config_.domain;
  std::string from = "<sip:" + config_.user + "@" + bracketed(domain) + ">";
  if (!config_.display_name.empty()) from = quoted(config_.display_name) + " " + from;
  std::string proxy = with_local_address(config_.outbound_proxy);
  if (proxy.empty()) proxy = config_.outbound_proxy;
  const bool tls = guard_ != nullptr;
  if (tls) guard_->begin_capture();
  const auto expires = static_cast<unsigned>(config_.session_expires_s);
  nua_ = nua_create(
      root_, library_callback, this, NUTAG_URL(listen.c_str()), SIPTAG_FROM_STR(from.c_str()),
      NUTAG_MEDIA_ENABLE(0), NUTAG_AUTOACK(1), NUTAG_AUTOALERT(0), NUTAG_AUTOANSWER(0),
      NUTAG_ALLOW(kAllow), NUTAG_APPL_METHOD("NOTIFY"), SIPTAG_ALLOW_STR(kAllow),
      SIPTAG_SUPPORTED_STR("timer"), SIPTAG_USER_AGENT_STR(config_.user_agent.c_str()),
      NUTAG_SESSION_TIMER(expires), NUTAG_MIN_SE(90), NUTAG_UPDATE_REFRESH(1),
      NUTAG_ENABLEMESSAGE(0), NUTAG_ENABLEINVITE(1),
      NUTAG_OUTBOUND("no-options-keepalive no-validate no-natify"),
      NUTAG_DETECT_NETWORK_UPDATES(NUA_NW_DETECT_NOTHING), TPTAG_LOG(0),
      TAG_IF(tls, NUTAG_CERTIFICATE_DIR(config_.folder.c_str())),
      TAG_IF(tls,
             TPTAG_TLS_VERIFY_POLICY(config_.verify_server ? TPTLS_VERIFY_OUT : TPTLS_VERIFY_NONE)),
      TAG_IF(!proxy.empty(), NUTAG_PROXY(proxy.c_str())), TAG_END());
  if (tls) {
    if (auto status = guard_->end_capture(); !status && nua_ != nullptr) return status;
  }
  if (nua_ == nullptr) {
    if (tls) guard_->discard();
    return Error{"cannot listen for SIP on " + bracketed(config_.bind_address) + ":" +
                 std::to_string(port) + "; is the port in use, or the certificate unreadable?"};
  }
  port_ = port;
  uri_ = "sip:" + config_.user + "@" + bracketed(domain) + ":" + std::to_string(port) +
         transport_parameter();
  return {};
}

void SofiaSignalling::run() { su_root_run(root_); }

void SofiaSignalling::close() {
  if (nua_ != nullptr && !shut_down_) {
    // After a failed start, or when peers did not answer in time: a last, short chance.
    nua_shutdown(nua_);
    const auto limit = SystemClock::now() + kSecond / 2;
    while (!shut_down_ && SystemClock::now() < limit) su_root_step(root_, 10);
  }
  if (timer_ != nullptr) su_timer_destroy(timer_);
  timer_ = nullptr;
  for (auto& [id, call] : calls_) {
    if (call->handle != nullptr) nua_handle_destroy(call->handle);
    call->handle = nullptr;
  }
  if (nua_ != nullptr) nua_destroy(nua_);
  nua_ = nullptr;
  guard_.reset();  // on this thread, behind the library
  calls_.clear();
  if (root_ != nullptr) {
    loop_.detach(root_);
    su_root_destroy(root_);
  }
  root_ = nullptr;
}

std::string SofiaSignalling::transport_parameter() const {
  switch (config_.transport) {
    case SipTransport::kTls:
      return ";transport=tls";
    case SipTransport::kTcp:
      return ";transport=tcp";
    case SipTransport::kUdp:
      break;
  }
  return ";transport=udp";
}

SofiaCall* SofiaSignalling::find(CallId call) {
  const auto it = calls_.find(call);
  return it == calls_.end() || it->second->phase == SofiaCall::Phase::kEnded ? nullptr
                                                                             : it->second.get();
}

std::vector<std::string> SofiaSignalling::expected_names() const {
  if (!config_.server_name.empty()) return {config_.server_name};
  if (!config_.outbound_proxy.empty()) return {sip_host(config_.outbound_proxy)};
  std::vector<std::string> names;
  for (const auto& [id, call] : calls_) {
    if (!call->host.empty() && std::find(names.begin(), names.end(), call->host) == names.end()) {
      names.push_back(call->host);
    }
  }
  return names;
}

void SofiaSignalling::tls_refused(const std::string& why) {
  log::warning("sip", "TLS connection refused", {{"reason", why}});
  // The library retries and would tell only after 32 s; nothing can come of these calls.
  loop_.post([this, why] {
    std::vector<CallId> hopeless;
    for (auto& [id, call] : calls_) {
      if (call->phase == SofiaCall::Phase::kCalling) hopeless.push_back(id);
    }
    for (const CallId id : hopeless) {
      end(*calls_[id], 503, "TLS connection refused", false, why);
      forget(id);
    }
  });
}

void SofiaSignalling::forget(CallId call) {
  const auto it = calls_.find(call);
  if (it == calls_.end()) return;
  if (it->second->handle != nullptr) nua_handle_destroy(it->second->handle);
  calls_.erase(it);
}

Result<CallId> SofiaSignalling::invite(const SipInvite& invite) {
  CONCLAVE_CHECK_STATUS(check_invite(invite));
  const CallId id = ++last_id_;
  loop_.post([this, id, invite] { start_call(id, invite); });
  return id;
}

void SofiaSignalling::start_call(CallId id, const SipInvite& invite) {
  auto owned = std::make_unique<SofiaCall>();
  SofiaCall& call = *owned;
  calls_.emplace(id, std::move(owned));
  call.id = id;
  call.host = sip_host(invite.target);
  call.deadline_ns = SystemClock::now() + config_.invite_timeout_s * kSecond;
  call.last_sdp = build_sdp(invite.offer);
  std::string target = invite.target;
  if (target.find(";transport=") == std::string::npos) target += transport_parameter();
  call.handle =
      nua_handle(nua_, &call, NUTAG_URL(target.c_str()), SIPTAG_TO_STR(target.c_str()), TAG_END());
  if (call.handle == nullptr || closing_) {
    end(call, 500, "Call Not Possible", false, "the target is not a usable SIP address");
    return;
  }
  if (const auto local = with_local_address(target);
      !local.empty() && config_.outbound_proxy.empty()) {
    nua_set_hparams(call.handle, NUTAG_PROXY(local.c_str()), TAG_END());
  }
  const std::string headers = header_lines(invite.headers);
  nua_invite(call.handle, SIPTAG_CONTENT_TYPE_STR("application/sdp"),
             SIPTAG_PAYLOAD_STR(call.last_sdp.c_str()),
             TAG_IF(!headers.empty(), SIPTAG_HEADER_STR(headers.c_str())), TAG_END());
}

void SofiaSignalling::ring(CallId id) {
  loop_.post([this, id] {
    SofiaCall* call = find(id);
    if (call != nullptr && call->phase == SofiaCall::Phase::kIncoming) {
      nua_respond(call->handle, SIP_180_RINGING, TAG_END());
    }
  });
}

void SofiaSignalling::answer(CallId id, const SessionDescription& answer,
                             const std::vector<SipHeader>& headers) {
  loop_.post([this, id, sdp = build_sdp(answer), lines = header_lines(headers)] {
    SofiaCall* call = find(id);
    if (call == nullptr) return;
    if (call->phase == SofiaCall::Phase::kIncoming) {
      call->phase = SofiaCall::Phase::kAnswered;
    } else if (!call->update_pending) {
      return;
    }
    call->update_pending = false;
    call->last_sdp = sdp;
    nua_respond(call->handle, SIP_200_OK, SIPTAG_CONTENT_TYPE_STR("application/sdp"),
                SIPTAG_PAYLOAD_STR(sdp.c_str()),
                TAG_IF(!lines.empty(), SIPTAG_HEADER_STR(lines.c_str())), TAG_END());
  });
}

void SofiaSignalling::reject(CallId id, int code, const std::string& reason) {
  loop_.post([this, id, code = code >= 300 && code <= 699 ? code : 486, why = header_safe(reason)] {
    SofiaCall* call = find(id);
    if (call == nullptr) return;
    if (call->phase == SofiaCall::Phase::kIncoming) {
      call->refusal = why;
      nua_respond(call->handle, code, call->refusal.c_str(), TAG_END());
      end(*call, code, why, false);
    } else if (call->update_pending) {
      call->update_pending = false;
      call->refusal = why;
      nua_respond(call->handle, code, call->refusal.c_str(), TAG_END());
    }
  });
}

void SofiaSignalling::reinvite(CallId id, const SessionDescription& offer) {
  loop_.post([this, id, sdp = build_sdp(offer)] {
    SofiaCall* call = find(id);
    if (call == nullptr || call->phase != SofiaCall::Phase::kEstablished) return;
    call->last_sdp = sdp;
    nua_invite(call->handle, SIPTAG_CONTENT_TYPE_STR("application/sdp"),
               SIPTAG_PAYLOAD_STR(sdp.c_str()), TAG_END());
  });
}

void SofiaSignalling::info(CallId id, const std::string& content_type, const std::string& body) {
  loop_.post([this, id, type = header_safe(content_type), body] {
    SofiaCall* call = find(id);
    if (call == nullptr || call->phase != SofiaCall::Phase::kEstablished) return;
    nua_info(call->handle, SIPTAG_CONTENT_TYPE_STR(type.c_str()), SIPTAG_PAYLOAD_STR(body.c_str()),
             TAG_END());
  });
}

void SofiaSignalling::notify(CallId id, const std::string& event) {
  loop_.post([this, id, name = header_safe(event)] {
    SofiaCall* call = find(id);
    if (call == nullptr || call->phase != SofiaCall::Phase::kEstablished) return;
    // A subscription that is made and over with this one request.
    nua_notify(call->handle, NUTAG_NEWSUB(1), SIPTAG_EVENT_STR(name.c_str()),
               SIPTAG_SUBSCRIPTION_STATE_STR("terminated;reason=noresource"), TAG_END());
  });
}

void SofiaSignalling::hang_up(CallId id) {
  loop_.post([this, id] {
    if (SofiaCall* call = find(id)) hang_up_now(*call);
  });
}

void SofiaSignalling::hang_up_now(SofiaCall& call) {
  switch (call.phase) {
    case SofiaCall::Phase::kCalling:
      nua_cancel(call.handle, TAG_END());
      end(call, SIP_487_REQUEST_CANCELLED, false);
      break;
    case SofiaCall::Phase::kIncoming:
      nua_respond(call.handle, SIP_603_DECLINE, TAG_END());
      end(call, SIP_603_DECLINE, false);
      break;
    case SofiaCall::Phase::kAnswered:
    case SofiaCall::Phase::kEstablished:
      nua_bye(call.handle, TAG_END());
      end(call, SIP_200_OK, false);
      break;
    case SofiaCall::Phase::kEnded:
      break;
  }
}

void SofiaSignalling::end(SofiaCall& call, int code, const std::string& reason, bool by_peer,
                          const std::string& detail) {
  if (call.phase == SofiaCall::Phase::kEnded) return;
  call.phase = SofiaCall::Phase::kEnded;
  SignallingEvent event;
  event.kind = SignallingEvent::Kind::kEnded;
  event.call = call.id;
  event.code = code;
  event.reason = reason;
  event.by_peer = by_peer;
  event.detail = detail;
  tell(event);
}

void SofiaSignalling::tell(const SignallingEvent& event) { handler_(event); }

void SofiaSignalling::on_tick() {
  const auto now = SystemClock::now();
  if (guard_) guard_->sweep();
  for (auto& [id, call] : calls_) {
    if (call->phase == SofiaCall::Phase::kCalling && now > call->deadline_ns) {
      nua_cancel(call->handle, TAG_END());
      end(*call, SIP_408_REQUEST_TIMEOUT, false, "the other end did not answer in time");
    }
  }
  if (closing_ && now > close_deadline_ns_) {
    su_root_break(root_);
  }
}

}  // namespace conclave::media
