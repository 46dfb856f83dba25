// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/audio_frame.h"
#include "base/result.h"
#include "control/calls/tunnel_way.h"
#include "control/loop/loop.h"
#include "media/call_stream.h"
#include "media/sip/signalling.h"

namespace conclave::control {

struct MediaCallConfig {
  std::string target;  ///< SIP URI
  std::string host;    ///< where SIP goes: name or address
  int port = 0;
  std::string transport = "tls";
  std::string header_name, header_value;  ///< ties the call to a participant; the value is secret
  std::string display_name;
  std::string ca_file;
  std::string folder;         ///< for the SIP library's TLS files; made and removed
  std::string local_address;  ///< empty: by the route to `host`
  int local_sip_port = 0, local_rtp_port = 0;
  int bitrate = 64000;
  int sample_rate = 48000;
  std::optional<TunnelWay> tunnel;  ///< none: there is only the direct way
  TunnelMode tunnel_mode = TunnelMode::kAutomatic;
};

struct MediaCallInfo {
  std::string codec;     ///< "Opus 48 kHz 10 ms"
  std::string security;  ///< "SRTP AEAD_AES_256_GCM, SIP over TLS"
};

/// SIP and sound of one call. Control loop; events come on it later, never from within a call, and
/// not after the object is gone.
class MediaCall {
 public:
  struct Events {
    /// The way is decided and, where it is the tunnel, open; SIP begins. Also from within start().
    std::function<void(Route)> route;
    std::function<void(const MediaCallInfo&)> answered;
    /// The other end sent a NOTIFY of this event ("check-sync"). May be empty.
    std::function<void(const std::string& name)> notified{};
    /// The last one. `by_peer`: the other end hung up after the call stood.
    std::function<void(const Error& error, bool by_peer)> ended;
  };
  virtual ~MediaCall() = default;  ///< hangs up
  virtual Status start(const MediaCallConfig& config, Events events) = 0;
  virtual void set_muted(bool muted) = 0;
  virtual media::CallStats stats() const = 0;
};

/// Makes calls that carry the frames of these rings. The rings must outlive them.
using MediaCallFactory = std::function<std::unique_ptr<MediaCall>()>;
MediaCallFactory sip_calls(Loop& loop, AudioFrameRing& uplink, AudioFrameRing& downlink);

/// Own address towards a host, as the routing table would choose it.
Result<std::string> local_address_towards(const std::string& host, int port);

}  // namespace conclave::control
