// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "media/sip/sdp.h"

namespace conclave::media {
namespace {

constexpr std::size_t kMaxBytes = 16 * 1024;
constexpr std::size_t kMaxOtherMedia = 16;
constexpr std::size_t kMaxCrypto = 16;

/// The next word, cut from the front of `text`.
std::string_view word(std::string_view& text, char separator = ' ') {
  while (!text.empty() && text.front() == separator) text.remove_prefix(1);
  const auto end = std::min(text.find(separator), text.size());
  const auto first = text.substr(0, end);
  text.remove_prefix(end);
  while (!text.empty() && text.front() == separator) text.remove_prefix(1);
  return first;
}

template <typename T>
std::optional<T> number(std::string_view text, T least, T most) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value < least || value > most) return std::nullopt;
  return value;
}

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/-._*+").find(c) != std::string_view::npos;
  });
}

bool is_literal(const std::string& address) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, address.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1;
}

std::optional<Direction> direction_named(std::string_view name) {
  if (name == "sendrecv") return Direction::kSendRecv;
  if (name == "sendonly") return Direction::kSendOnly;
  if (name == "recvonly") return Direction::kRecvOnly;
  if (name == "inactive") return Direction::kInactive;
  return std::nullopt;
}

/// One pass over the lines; what is kept is copied, so the text may go.
class Parser {
 public:
  Result<SessionDescription> run(std::string_view text) {
    if (text.empty()) return Error{"SDP is empty"};
    if (text.size() > kMaxBytes) return Error{"SDP is longer than 16 KiB"};
    bool first = true;
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      auto line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      if (line.empty()) continue;
      if (first && line != "v=0") return Error{"SDP does not begin with v=0"};
      first = false;
      if (line.size() < 2 || line[1] != '=') return Error{"SDP has a line without a type"};
      if (auto status = take(line[0], line.substr(2)); !status) return status.error();
    }
    return finish();
  }

 private:
  struct Format {
    int payload_type = 0;
    bool opus = false;
    bool event = false;
    int bitrate = 0;
    bool fec = false;
  };
  enum class Where { kSession, kAudio, kElsewhere };

  Status take(char type, std::string_view value) {
    switch (type) {
      case 'o':
        return where_ == Where::kSession ? origin(value) : Status{};
      case 'c':
        return where_ == Where::kElsewhere ? Status{} : connection(value);
      case 'm':
        return media(value);
      case 'a':
        return where_ == Where::kElsewhere ? Status{} : attribute(value);
      default:
        return {};
    }
  }

  Status origin(std::string_view value) {
    (void)word(value);
    // Longer numbers than 64 bits are legal and of no use to us.
    out_.session_id = number<std::uint64_t>(word(value), 0, UINT64_MAX).value_or(0);
    out_.session_version = number<std::uint64_t>(word(value), 0, UINT64_MAX).value_or(0);
    return {};
  }

  Status connection(std::string_view value) {
    const auto net = word(value), family = word(value);
    auto address = word(value);
    address = address.substr(0, address.find('/'));
    if (net != "IN" || (family != "IP4" && family != "IP6") || address.size() > 64) {
      return Error{"SDP has a c= line that is not IN IP4 or IN IP6"};
    }
    (where_ == Where::kAudio ? audio_address_ : session_address_) = address;
    return {};
  }

  Status media(std::string_view value) {
    const auto kind = word(value), port_text = word(value), profile = word(value);
    const auto port = number<int>(port_text.substr(0, port_text.find('/')), 0, 65535);
    if (!is_token(kind) || !port || !is_token(profile)) return Error{"SDP has a broken m= line"};
    if (kind != "audio" || seen_audio_ || !take_profile(profile)) {
      where_ = Where::kElsewhere;
      if (out_.other_media.size() >= kMaxOtherMedia) return Error{"SDP has too many streams"};
      auto format = word(value);
      if (!is_token(format)) format = "0";
      out_.other_media.push_back(std::string(kind) + " " + std::to_string(*port) + " " +
                                 std::string(profile) + " " + std::string(format));
      if (!seen_audio_) ++out_.audio_position;
      return {};
    }
    seen_audio_ = true;
    where_ = Where::kAudio;
    out_.port = static_cast<std::uint16_t>(*port);
    while (!value.empty() && formats_.size() < 128) {
      const auto type = number<int>(word(value), 0, 127);
      if (!type) return Error{"SDP has a payload type that is not 0 to 127"};
      formats_.push_back({*type});
    }
    return {};
  }

  bool take_profile(std::string_view profile) {
    out_.secure = profile == "RTP/SAVP" || profile == "RTP/SAVPF";
    out_.feedback = profile == "RTP/AVPF" || profile == "RTP/SAVPF";
    return out_.secure || profile == "RTP/AVP" || profile == "RTP/AVPF";
  }

  Status attribute(std::string_view value) {
    const auto colon = value.find(':');
    const auto name = value.substr(0, colon);
    const auto rest = colon == std::string_view::npos ? "" : value.substr(colon + 1);
    if (const auto direction = direction_named(name)) {
      (where_ == Where::kAudio ? audio_direction_ : session_direction_) = direction;
    }
    if (where_ != Where::kAudio) return {};
    if (name == "rtpmap") rtpmap(rest);
    if (name == "fmtp") fmtp(rest);
    if (name == "ptime") out_.ptime_ms = number<int>(rest, 1, 120).value_or(0);
    if (name == "rtcp-mux") out_.rtcp_mux = true;
    if (name == "rtcp") {
      auto text = rest;
      out_.rtcp_port = number<std::uint16_t>(word(text), 1, 65535).value_or(0);
    }
    if (name == "crypto") crypto(rest);
    return {};
  }

  Format* format_of(std::string_view& text) {
    const auto type = number<int>(word(text), 0, 127);
    const auto it = std::find_if(formats_.begin(), formats_.end(),
                                 [&](const Format& f) { return type && f.payload_type == *type; });
    return it == formats_.end() ? nullptr : &*it;
  }

  void rtpmap(std::string_view text) {
    if (Format* format = format_of(text)) {
      format->opus = same(text, "opus/48000/2") && format->payload_type >= 96;
      format->event = same(text, "telephone-event/48000") && format->payload_type >= 96;
    }
  }

  void fmtp(std::string_view text) {
    Format* format = format_of(text);
    if (format == nullptr) return;
    while (!text.empty()) {
      auto parameter = word(text, ';');
      auto name = word(parameter, '=');
      while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
      while (!parameter.empty() && parameter.back() == ' ') parameter.remove_suffix(1);
      if (name == "maxaveragebitrate") {
        format->bitrate = number<int>(parameter, 6000, 510000).value_or(0);
      }
      if (name == "useinbandfec") format->fec = parameter == "1";
    }
  }

  void crypto(std::string_view text) {
    if (out_.crypto.size() >= kMaxCrypto) return;
    const auto tag = number<int>(word(text), 0, 999'999'999);
    const auto suite = suite_from_name(word(text));
    const auto keys = word(text);
    // Session parameters (KDR=…, UNENCRYPTED_SRTP, …) change the protection: not ours.
    if (!tag || !suite || !text.empty() || keys.find(';') != std::string_view::npos) return;
    if (auto key = SrtpKey::parse(*suite, keys)) out_.crypto.push_back({*tag, *key});
  }

  Result<SessionDescription> finish() {
    if (!seen_audio_) return Error{"SDP has no RTP audio stream"};
    out_.address = audio_address_.empty() ? session_address_ : audio_address_;
    if (!is_literal(out_.address) && out_.port != 0) {
      return Error{"SDP gives no IP address for the audio stream"};
    }
    out_.direction = audio_direction_.value_or(session_direction_.value_or(Direction::kSendRecv));
    if (out_.address == "0.0.0.0" || out_.address == "::") out_.direction = Direction::kInactive;
    for (const Format& format : formats_) {
      if (format.opus && out_.opus_payload_type < 0) {
        out_.opus_payload_type = format.payload_type;
        out_.max_average_bitrate = format.bitrate;
        out_.in_band_fec = format.fec;
      }
      if (format.event && out_.event_payload_type < 0) {
        out_.event_payload_type = format.payload_type;
      }
    }
    return std::move(out_);
  }

  SessionDescription out_ = [] {
    SessionDescription d;
    d.rtcp_mux = false;
    return d;
  }();
  Where where_ = Where::kSession;
  bool seen_audio_ = false;
  std::string session_address_, audio_address_;
  std::optional<Direction> session_direction_, audio_direction_;
  std::vector<Format> formats_;
};

}  // namespace

Result<SessionDescription> parse_sdp(std::string_view text) { return Parser().run(text); }

}  // namespace conclave::media
