// SPDX-License-Identifier: Apache-2.0
// What the SIP library reports, turned into the events of Signalling.
#include "media/sip/sofia_signalling.h"

#include <netdb.h>
#include <sys/socket.h>

#include <array>

#include "base/log.h"
#include "media/sip/sip_text.h"

namespace conclave::media {
namespace {

using Phase = SofiaCall::Phase;
using Kind = SignallingEvent::Kind;

/// Flag of a response that the library made up itself, for lack of one (NTA_INTERNAL_MSG).
constexpr unsigned kMadeByLibrary = 1U << 15;

std::vector<SipHeader> foreign_headers(const sip_t* sip) {
  std::vector<SipHeader> headers;
  for (const auto* h = sip->sip_unknown; h != nullptr && headers.size() < 32; h = h->un_next) {
    if (h->un_name != nullptr && h->un_value != nullptr) {
      headers.push_back({h->un_name, h->un_value});
    }
  }
  return headers;
}

std::string body_of(const sip_t* sip) {
  if (sip == nullptr || sip->sip_payload == nullptr || sip->sip_payload->pl_data == nullptr)
    return {};
  return {sip->sip_payload->pl_data, sip->sip_payload->pl_len};
}

std::string url_text(const url_t* url) {
  if (url == nullptr) return {};
  std::array<char, 512> text{};
  if (url_e(text.data(), static_cast<int>(text.size()), url) >=
      static_cast<issize_t>(text.size())) {
    return {};
  }
  return text.data();
}

struct Source {
  std::string host, port;
};
Source source_of(nua_t* nua) {
  msg_t* message = nua_current_request(nua);
  const su_addrinfo_t* info = message != nullptr ? msg_addrinfo(message) : nullptr;
  if (info == nullptr || info->ai_addr == nullptr) return {};
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (getnameinfo(info->ai_addr, static_cast<socklen_t>(info->ai_addrlen), host.data(), host.size(),
                  port.data(), port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return {};
  }
  return {host.data(), port.data()};
}

std::string phrase_of(const SofiaSignalling::LibraryEvent& event) {
  return event.phrase == nullptr ? "" : event.phrase;
}

}  // namespace

void SofiaSignalling::on_event(const LibraryEvent& event) {
  if (event.event == nua_r_shutdown) {
    if (event.status < 200) return;
    shut_down_ = true;
    su_root_break(root_);
    return;
  }
  if (event.event == nua_i_invite && event.call == nullptr) return on_incoming(event);
  if (event.call == nullptr) {
    // A request that opened no call of ours (OPTIONS outside one): the library has answered it.
    if (event.handle != nullptr && event.event != nua_i_state) nua_handle_destroy(event.handle);
    return;
  }
  SofiaCall& call = *event.call;
  switch (static_cast<nua_event_t>(event.event)) {
    case nua_r_invite:
      return on_invite_response(call, event);
    case nua_i_invite:
      return on_reinvite(call, event);
    case nua_i_ack:
      if (call.phase == Phase::kAnswered) {
        call.phase = Phase::kEstablished;
        SignallingEvent out;
        out.kind = Kind::kEstablished;
        out.call = call.id;
        out.code = 200;
        tell(out);
      }
      return;
    case nua_i_cancel:
      return end(call, SIP_487_REQUEST_CANCELLED, true);
    case nua_i_bye:
      return end(call, SIP_200_OK, true, "the other end hung up");
    case nua_i_info: {
      if (call.phase == Phase::kEnded) return;
      SignallingEvent out;
      out.kind = Kind::kInfo;
      out.call = call.id;
      if (event.sip != nullptr && event.sip->sip_content_type != nullptr) {
        out.content_type = event.sip->sip_content_type->c_type;
      }
      out.body = body_of(event.sip);
      return tell(out);
    }
    case nua_i_notify: {
      // The library leaves the answer to us, subscribed or not.
      if (event.status < 200) {
        nua_respond(call.handle, SIP_200_OK, NUTAG_WITH_THIS(nua_), TAG_END());
      }
      if (call.phase == Phase::kEnded) return;
      SignallingEvent out;
      out.kind = Kind::kNotify;
      out.call = call.id;
      if (event.sip != nullptr && event.sip->sip_event != nullptr) {
        out.reason = event.sip->sip_event->o_type;
      }
      return tell(out);
    }
    case nua_i_state:
      if (event.call_state == nua_callstate_terminated) on_terminated(call, event);
      return;
    case nua_r_bye:
    case nua_r_info:
    case nua_r_update:
      if (event.status == 401 || event.status == 407) on_challenge(call, event);
      return;
    default:
      return;
  }
}

void SofiaSignalling::on_invite_response(SofiaCall& call, const LibraryEvent& event) {
  const int status = event.status;
  if (status == 401 || status == 407) return on_challenge(call, event);
  if (call.phase != Phase::kCalling && call.phase != Phase::kEstablished) return;
  SignallingEvent out;
  out.call = call.id;
  out.code = status;
  out.reason = phrase_of(event);
  if (status < 200) {
    if (call.phase != Phase::kCalling) return;
    out.kind = status < 180 ? Kind::kTrying : Kind::kRinging;
    return tell(out);
  }
  if (status < 300) {
    if (event.sip != nullptr) {
      const std::string body = body_of(event.sip);
      call.peer_sdp = body;
      auto sdp = parse_sdp(body);
      if (sdp) {
        out.sdp = std::move(*sdp);
      } else {
        out.detail = sdp.error().message;
      }
      out.headers = foreign_headers(event.sip);
    }
    call.phase = Phase::kEstablished;
    out.kind = Kind::kAnswered;
    return tell(out);
  }
  if (status < 400 && event.sip != nullptr) return;  // redirections are followed by the library
  if (call.phase == Phase::kEstablished) {
    // A refused re-INVITE leaves the call as it was (RFC 3261, 14.1).
    log::info("sip", "change of the call refused", {{"code", status}, {"reason", out.reason}});
    return;
  }
  const bool by_peer = event.sip != nullptr && (event.sip->sip_flags & kMadeByLibrary) == 0;
  end(call, status, out.reason, by_peer, by_peer ? "" : "no answer from " + call.host);
}

void SofiaSignalling::on_incoming(const LibraryEvent& event) {
  if (event.sip == nullptr || event.handle == nullptr) return;
  if (closing_) {
    nua_respond(event.handle, SIP_503_SERVICE_UNAVAILABLE, TAG_END());
    return;
  }
  auto sdp = parse_sdp(body_of(event.sip));
  if (!sdp) {
    nua_respond(event.handle, SIP_488_NOT_ACCEPTABLE, TAG_END());
    log::info("sip", "call refused", {{"reason", sdp.error().message}});
    nua_handle_destroy(event.handle);
    return;
  }
  auto owned = std::make_unique<SofiaCall>();
  SofiaCall& call = *owned;
  call.id = ++last_id_;
  call.phase = Phase::kIncoming;
  call.handle = event.handle;
  call.peer_sdp = body_of(event.sip);
  calls_.emplace(call.id, std::move(owned));
  nua_handle_bind(event.handle, &call);

  const Source source = source_of(nua_);
  if (config_.transport != SipTransport::kUdp && !source.port.empty()) {
    // Our requests in this dialog go back over the connection that it came by: a phone behind NAT,
    // or one that has no certificate to be a server with, cannot be connected to.
    const std::string back =
        "sip:" + bracketed(source.host) + ":" + source.port + transport_parameter();
    nua_set_hparams(event.handle, NUTAG_PROXY(back.c_str()), TAG_END());
  }
  SignallingEvent out;
  out.kind = Kind::kIncoming;
  out.call = call.id;
  out.sdp = std::move(*sdp);
  out.peer_address = source.host;
  if (event.sip->sip_from != nullptr) out.from = url_text(event.sip->sip_from->a_url);
  if (event.sip->sip_request != nullptr) out.to = url_text(event.sip->sip_request->rq_url);
  out.headers = foreign_headers(event.sip);
  tell(out);
}

void SofiaSignalling::on_reinvite(SofiaCall& call, const LibraryEvent& event) {
  if (call.phase == Phase::kEnded) return;
  const std::string body = body_of(event.sip);
  if (body.empty() || body == call.peer_sdp) {
    // A session refresh: nothing has changed.
    nua_respond(call.handle, SIP_200_OK, SIPTAG_CONTENT_TYPE_STR("application/sdp"),
                SIPTAG_PAYLOAD_STR(call.last_sdp.c_str()), TAG_END());
    return;
  }
  auto sdp = parse_sdp(body);
  if (!sdp) {
    nua_respond(call.handle, SIP_488_NOT_ACCEPTABLE, TAG_END());
    return;
  }
  call.peer_sdp = body;
  call.update_pending = true;
  SignallingEvent out;
  out.kind = Kind::kUpdated;
  out.call = call.id;
  out.sdp = std::move(*sdp);
  tell(out);
}

void SofiaSignalling::on_terminated(SofiaCall& call, const LibraryEvent& event) {
  const int code = event.status >= 200 ? event.status : 487;
  end(call, code, phrase_of(event), true);
  // Not from within the library's call about this very handle.
  loop_.post([this, id = call.id] { forget(id); });
}

void SofiaSignalling::on_challenge(SofiaCall& call, const LibraryEvent& event) {
  const sip_t* sip = event.sip;
  const auto* challenge = sip == nullptr        ? nullptr
                          : event.status == 401 ? sip->sip_www_authenticate
                                                : sip->sip_proxy_authenticate;
  const bool can = challenge != nullptr && !config_.auth_password.empty() && !call.authenticated;
  if (!can) {
    if (event.event == nua_r_invite && call.phase == Phase::kCalling) {
      end(call, event.status, phrase_of(event), true,
          call.authenticated ? "user name or password were not accepted"
                             : "the server asks for a password and none is set");
    }
    return;
  }
  call.authenticated = true;
  const char* realm = msg_params_find(challenge->au_params, "realm=");
  const auto& user = config_.auth_user.empty() ? config_.user : config_.auth_user;
  const std::string credentials = std::string(challenge->au_scheme) + ":" +
                                  (realm == nullptr ? "\"\"" : realm) + ":" + user + ":" +
                                  config_.auth_password;
  nua_authenticate(call.handle, NUTAG_AUTH(credentials.c_str()), TAG_END());
}

}  // namespace conclave::media
