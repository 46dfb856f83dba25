// SPDX-License-Identifier: Apache-2.0
#include "control/calls/media_call.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>

#include "base/log.h"
#include "control/errors/catalogue.h"
#include "control/errors/classify.h"
#include "control/settings/value.h"

namespace conclave::control {
namespace {

/// Threads for what takes long.
struct Helpers {
  Loop resolver{"sip-resolver"};
  Loop farewells{"sip-farewell"};
  Loop tunnels{"sip-tunnel"};
};

class SipCall final : public MediaCall {
 public:
  SipCall(Loop& loop, std::shared_ptr<Helpers> helpers, AudioFrameRing& uplink,
          AudioFrameRing& downlink)
      : loop_(&loop),
        helpers_(std::move(helpers)),
        uplink_(&uplink),
        downlink_(&downlink),
        self_(std::make_shared<SipCall*>(this)) {}

  ~SipCall() override {
    *self_ = nullptr;
    if (stream_) stream_->stop();
    if (!signalling_) {
      remove_folder(folder_);
      return;
    }
    if (call_ != 0) signalling_->hang_up(call_);
    // Saying goodbye to a peer that is gone takes seconds; nobody should wait for it.
    helpers_->farewells.post(
        [signalling = std::shared_ptr<media::Signalling>(std::move(signalling_)),
         tunnel = std::make_shared<TunnelPaths>(std::move(tunnel_)), folder = folder_]() mutable {
          signalling.reset();  // says goodbye through the tunnel, where there is one
          tunnel.reset();
          remove_folder(folder);
        });
  }

  Status start(const MediaCallConfig& config, Events events) override;
  void set_muted(bool muted) override {
    if (stream_) stream_->set_muted(muted);
  }
  media::CallStats stats() const override {
    return stream_ ? stream_->stats() : media::CallStats{};
  }

 private:
  static void remove_folder(const std::string& folder) {
    std::error_code ec;
    if (!folder.empty()) std::filesystem::remove_all(folder, ec);
  }
  Status start_direct();
  void start_by_tunnel_or_direct();
  Status begin(const std::string& address);
  void told_route(Route route) const {
    if (events_.route) events_.route(route);
  }
  /// Where there is a tunnel the stream's peer is its local end.
  void by_tunnel(media::MediaPeer& peer) {
    if (!tunnel_.media) return;
    tunnel_.media->connect({peer.address, peer.port}, stream_->local_port());
    peer.address = tunnel_.media->local().address;
    peer.port = tunnel_.media->local().port;
    peer.rtcp_mux = true;  // there is one channel
  }
  void on_event(const media::SignallingEvent& event);
  void answered(const media::SignallingEvent& event);
  void end(const Error& error, bool by_peer) {
    if (ended_) return;
    ended_ = true;
    const auto ended = events_.ended;
    if (ended) ended(error, by_peer);
  }

  Loop* loop_;
  std::shared_ptr<Helpers> helpers_;
  AudioFrameRing *uplink_, *downlink_;
  std::shared_ptr<SipCall*> self_;  // read and cleared on the loop alone
  Events events_;
  std::string folder_;
  MediaCallConfig config_;
  TunnelPaths tunnel_;  // both or none
  std::unique_ptr<media::CallStream> stream_;
  std::unique_ptr<media::Signalling> signalling_;
  media::SessionDescription offer_;
  media::CallId call_ = 0;
  bool answered_ = false, ended_ = false;
};

Status SipCall::start(const MediaCallConfig& config, Events events) {
  config_ = config;
  events_ = std::move(events);
  if (config_.tunnel && config_.tunnel_mode != TunnelMode::kNever) {
    start_by_tunnel_or_direct();
    return {};
  }
  return start_direct();
}

void SipCall::start_by_tunnel_or_direct() {
  helpers_->tunnels.post([loop = loop_, self = self_, way = *config_.tunnel,
                          mode = config_.tunnel_mode, host = config_.host, port = config_.port] {
    if (mode == TunnelMode::kAutomatic && direct_way_open(way)) {
      loop->post([self] {
        if (*self == nullptr) return;
        const Status begun = (*self)->start_direct();
        if (!begun) (*self)->end(begun.error(), false);
      });
      return;
    }
    auto lost = [loop, self](const std::string& why) {
      loop->post([self, why] {
        if (*self != nullptr) (*self)->end(catalogue_error("SIG-902", why), false);
      });
    };
    auto paths = open_tunnel(way, host, port, std::move(lost));
    // The loop takes copyable tasks.
    auto opened = std::make_shared<Result<TunnelPaths>>(std::move(paths));
    loop->post([self, opened] {
      if (*self == nullptr) return;
      SipCall& call = **self;
      if (!*opened) return call.end(opened->error(), false);
      call.tunnel_ = std::move(**opened);
      const Status begun = call.begin("127.0.0.1");
      if (!begun) call.end(begun.error(), false);
    });
  });
}

Status SipCall::start_direct() {
  const MediaCallConfig& config = config_;
  if (!config.local_address.empty()) return begin(config.local_address);
  if (is_ip_address(config.host)) {
    CONCLAVE_TRY(const std::string address, local_address_towards(config.host, config.port));
    return begin(address);
  }
  // A name server may take its time, which the loop (and with it mute) must not.
  helpers_->resolver.post([loop = loop_, self = self_, host = config.host, port = config.port] {
    loop->post([self, address = local_address_towards(host, port)] {
      if (*self == nullptr) return;
      const Status begun = address ? (*self)->begin(*address) : Status(address.error());
      if (!begun) (*self)->end(begun.error(), false);
    });
  });
  return {};
}

Status SipCall::begin(const std::string& address) {
  const MediaCallConfig& config = config_;
  media::CallStreamConfig stream;
  stream.local_address = address;
  stream.local_port = static_cast<std::uint16_t>(config.local_rtp_port);
  stream.sample_rate = config.sample_rate;
  stream.bitrate = config.bitrate;
  CONCLAVE_TRY(stream_, media::CallStream::create(stream, *uplink_, *downlink_));

  media::LocalMedia local;
  local.address = tunnel_.media ? tunnel_.media->relayed().address : address;
  local.port = tunnel_.media ? tunnel_.media->relayed().port : stream_->local_port();
  local.max_average_bitrate = config.bitrate;
  CONCLAVE_TRY(offer_, media::make_offer(local));

  static std::atomic<unsigned> serial{0};
  folder_ = config.folder + "-" + std::to_string(++serial);
  media::SignallingConfig sip;
  sip.transport = config.transport == "tcp"   ? media::SipTransport::kTcp
                  : config.transport == "udp" ? media::SipTransport::kUdp
                                              : media::SipTransport::kTls;
  sip.bind_address = address;
  sip.bind_port = static_cast<std::uint16_t>(config.local_sip_port);
  sip.display_name = config.display_name;
  sip.folder = folder_;
  sip.ca_file = config.ca_file;
  if (tunnel_.sip) {
    sip.bind_port = 0;
    sip.outbound_proxy =
        "sip:127.0.0.1:" + std::to_string(tunnel_.sip->port()) + ";transport=" + config.transport;
    sip.server_name = config.host;  // the other end of the tunnel is still who must prove itself
  }
  told_route(tunnel_.media ? Route::kTunnel : Route::kDirect);
  CONCLAVE_TRY(signalling_, media::create_signalling(sip, [loop = loop_, self = self_](
                                                              const media::SignallingEvent& event) {
                 loop->post([self, event] {
                   if (*self != nullptr) (*self)->on_event(event);
                 });
               }));
  media::SipInvite invite;
  invite.target = config.target;
  invite.offer = offer_;
  if (!config.header_name.empty()) {
    invite.headers.push_back({config.header_name, config.header_value});
  }
  CONCLAVE_TRY(call_, signalling_->invite(invite));
  return {};
}

void SipCall::on_event(const media::SignallingEvent& event) {
  if (event.call != call_) return;
  switch (event.kind) {
    case media::SignallingEvent::Kind::kAnswered:
      answered(event);
      break;
    case media::SignallingEvent::Kind::kUpdated:
      // The peer changed its mind about address or keys; ours stay.
      if (event.sdp) {
        if (auto peer = media::accept_answer(offer_, *event.sdp)) {
          by_tunnel(*peer);
          if (stream_->update(*peer)) {
            signalling_->answer(call_, offer_);
            return;
          }
        }
      }
      signalling_->reject(call_, 488, "Not Acceptable Here");
      break;
    case media::SignallingEvent::Kind::kNotify:
      if (events_.notified) events_.notified(event.reason);
      break;
    case media::SignallingEvent::Kind::kEnded:
      log::info("call", "SIP ended",
                {{"code", event.code}, {"reason", event.reason}, {"detail", event.detail}});
      call_ = 0;
      end(classify_sip(event.code, event.reason, event.detail), answered_ && event.by_peer);
      break;
    default:
      break;
  }
}

void SipCall::answered(const media::SignallingEvent& event) {
  if (!event.sdp) {
    end(catalogue_error("JOIN-984", event.detail), false);
    return;
  }
  auto peer = media::accept_answer(offer_, *event.sdp);
  if (!peer) {
    end(catalogue_error("JOIN-984", peer.error().message), false);
    return;
  }
  by_tunnel(*peer);
  if (answered_) {
    if (const Status updated = stream_->update(*peer); !updated) {
      end(catalogue_error("JOIN-984", updated.error().message), false);
    }
    return;
  }
  if (const Status started = stream_->start(*peer); !started) {
    end(catalogue_error("JOIN-984", started.error().message), false);
    return;
  }
  answered_ = true;
  MediaCallInfo info;
  info.codec = "Opus 48 kHz " + std::to_string(peer->ptime_ms) + " ms";
  info.security = peer->local_key
                      ? "SRTP " + std::string(media::suite_name(peer->local_key->suite()))
                      : "RTP without encryption";
  info.security += config_.transport == "tls" ? ", SIP over TLS" : ", SIP without TLS";
  if (tunnel_.media) info.security += ", both through the tunnel";
  if (events_.answered) events_.answered(info);
}

}  // namespace

MediaCallFactory sip_calls(Loop& loop, AudioFrameRing& uplink, AudioFrameRing& downlink) {
  auto helpers = std::make_shared<Helpers>();
  return [&loop, helpers, &uplink, &downlink] {
    return std::make_unique<SipCall>(loop, helpers, uplink, downlink);
  };
}

Result<std::string> local_address_towards(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list) != 0) {
    return catalogue_error("NET-953");
  }
  Result<std::string> result = catalogue_error("NET-956");
  for (const addrinfo* at = list; at != nullptr && !result; at = at->ai_next) {
    const int fd = ::socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    std::array<char, NI_MAXHOST> text{};
    // Connecting a datagram socket sends nothing; it only asks the routing table.
    if (::connect(fd, at->ai_addr, at->ai_addrlen) == 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      result = std::string(text.data());
    }
    ::close(fd);
  }
  freeaddrinfo(list);
  return result;
}

}  // namespace conclave::control
