// SPDX-License-Identifier: Apache-2.0
// Packet in to packet out: SRTP relay and mixer alone, without codecs' and play-out's share.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <opus/opus.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <numbers>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "media/rtp/rtp_packet.h"
#include "media/srtp/srtp_session.h"
#include "service/focus/relay.h"
#include "service/janus/bridge.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

constexpr std::int64_t kMs = 1'000'000;

/// A phone reduced to a socket and keys.
struct Phone {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  std::unique_ptr<media::SrtpSession> srtp;
  sockaddr_in relay{};
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;

  ~Phone() { close(fd); }
  media::MediaPeer connect(const LegPorts& ports) {
    const auto mine = *media::SrtpKey::generate(media::SrtpSuite::kAesCm128HmacSha1_80);
    const auto theirs = *media::SrtpKey::generate(media::SrtpSuite::kAesCm128HmacSha1_80);
    srtp = std::move(*media::SrtpSession::create(mine, theirs));
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof own;
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&own), size), 0);
    getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
    relay = own;
    relay.sin_port = htons(ports.phone);
    media::MediaPeer peer;  // from the relay's side
    peer.address = "127.0.0.1";
    peer.port = ntohs(own.sin_port);
    peer.local_key = theirs;
    peer.remote_key = mine;
    return peer;
  }
  void send(std::span<const std::uint8_t> payload) {
    std::array<std::uint8_t, 1600> buffer{};
    const std::size_t size =
        media::write_rtp({111, false, sequence++, timestamp, 77}, payload, buffer);
    timestamp += 480;
    const std::size_t sealed = srtp->protect_rtp(buffer, size);
    sendto(fd, buffer.data(), sealed, 0, reinterpret_cast<sockaddr*>(&relay), sizeof relay);
  }
};

double rms(std::span<const float> sound) {
  double energy = 0;
  for (const float s : sound) energy += double{s} * s;
  return std::sqrt(energy / static_cast<double>(sound.size()));
}

TEST(BridgeLatency, packet_in_to_packet_out) {
  const test::TempFolder folder;
  auto relay = std::move(*Relay::start({}, {}));
  std::mutex mutex;
  std::map<std::string, LegId> legs;
  std::atomic<int> bridged{0};
  auto started =
      Bridge::start({folder.path(), 1}, [&](const std::string& member, std::uint16_t port) {
        const std::lock_guard lock(mutex);
        relay->set_bridge_port(legs[member], port);
        if (port != 0) ++bridged;
      });
  ASSERT_TRUE(started.ok()) << started.error().message;
  auto bridge = std::move(*started);
  Phone a;
  Phone b;
  int number = 0;
  for (Phone* phone : {&a, &b}) {
    const auto ports = *relay->open();
    ASSERT_TRUE(relay->connect(ports.leg, phone->connect(ports)).ok());
    const std::string member = "m" + std::to_string(number++);
    {
      const std::lock_guard lock(mutex);
      legs[member] = ports.leg;
    }
    bridge->add(member, "room", ports.bridge);
  }
  for (int i = 0; i < 200 && bridged < 2; ++i) usleep(10'000);
  ASSERT_EQ(bridged.load(), 2);

  // A sends 10 ms packets; now and then a tone begins. B notes when a packet with tone arrives.
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> onset_sent{0};
  std::thread sender([&] {
    int error = 0;
    OpusEncoder* encoder =
        opus_encoder_create(48000, 1, OPUS_APPLICATION_RESTRICTED_LOWDELAY, &error);
    std::int64_t next = SystemClock::now();
    for (int i = 0; !stop; ++i) {
      next += 10 * kMs;
      std::this_thread::sleep_for(std::chrono::nanoseconds(next - SystemClock::now()));
      // 61 frames: the beginning wanders through both halves of a pair.
      const bool tone = i % 61 >= 45;
      std::array<float, 480> sound{};
      for (int k = 0; tone && k < 480; ++k) {
        sound[static_cast<std::size_t>(k)] =
            0.3f * static_cast<float>(std::sin(2 * std::numbers::pi * 1000 * k / 48000.0));
      }
      std::array<std::uint8_t, 1276> packet{};
      const int size = opus_encode_float(encoder, sound.data(), 480, packet.data(), 1276);
      if (i % 61 == 45) onset_sent = SystemClock::now();
      a.send(std::span(packet).first(static_cast<std::size_t>(size)));
    }
    opus_encoder_destroy(encoder);
  });

  int error = 0;
  OpusDecoder* decoder = opus_decoder_create(48000, 1, &error);
  std::vector<double> delays;
  std::vector<double> spacing;
  std::int64_t last = 0;
  std::int64_t counted = 0;
  const std::int64_t end = SystemClock::now() + 12'000 * kMs;
  while (SystemClock::now() < end) {
    pollfd wait{b.fd, POLLIN, 0};
    if (poll(&wait, 1, 100) <= 0) continue;
    std::array<std::uint8_t, 1600> buffer{};
    const ssize_t got = recv(b.fd, buffer.data(), buffer.size(), 0);
    const std::int64_t now = SystemClock::now();
    auto size = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    if (media::looks_like_rtcp(std::span(buffer).first(size))) continue;
    ASSERT_EQ(b.srtp->unprotect_rtp(buffer, size), media::SrtpSession::Outcome::kOk);
    const auto packet = media::parse_rtp(std::span(buffer).first(size));
    ASSERT_TRUE(packet.has_value());
    if (last != 0) spacing.push_back(static_cast<double>(now - last) / 1e6);
    last = now;
    std::array<float, 5760> sound{};
    const int n =
        opus_decode_float(decoder, packet->payload.data(),
                          static_cast<opus_int32>(packet->payload.size()), sound.data(), 5760, 0);
    EXPECT_EQ(n, 960);
    const std::int64_t sent = onset_sent;
    if (sent != counted && now - sent < 300 * kMs && rms(std::span(sound).first(960)) > 0.02) {
      delays.push_back(static_cast<double>(now - sent) / 1e6);
      counted = sent;
    }
  }
  stop = true;
  sender.join();
  opus_decoder_destroy(decoder);
  ASSERT_GT(delays.size(), 10u) << spacing.size() << " packets came";
  std::sort(delays.begin(), delays.end());
  std::sort(spacing.begin(), spacing.end());
  std::printf(
      "10 ms packet in to 20 ms packet out: min %.1f median %.1f max %.1f ms; "
      "spacing of the mix p50 %.1f p99 %.1f ms\n",
      delays.front(), delays[delays.size() / 2], delays.back(), spacing[spacing.size() / 2],
      spacing[spacing.size() * 99 / 100]);
  // Up to 10 ms wait for the other half, up to 20 ms for the mixer's turn, one packet of its queue.
  EXPECT_LT(delays[delays.size() / 2], 60.0);
  // On average, because a busy machine makes the mixer catch up in bursts.
  double sum = 0;
  for (const double s : spacing) sum += s;
  EXPECT_NEAR(sum / static_cast<double>(spacing.size()), 20.0, 1.0);
  bridge.reset();
  relay.reset();
}

}  // namespace
}  // namespace conclave::service
