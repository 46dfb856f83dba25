// SPDX-License-Identifier: Apache-2.0
#include "media/call_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "media/sip/signalling.h"
#include "media/udp_socket.h"
#include "tests/media/fake_engine.h"
#include "tests/media/lab_certificates.h"
#include "tests/media/signals.h"
#include "tests/media/udp_relay.h"

namespace conclave::media {
namespace {

using namespace std::chrono_literals;

CallStreamConfig loopback(int rate = 48000) {
  CallStreamConfig config;
  config.local_address = "127.0.0.1";
  config.sample_rate = rate;
  config.complexity = 0;
  return config;
}

std::unique_ptr<CallStream> stream(FakeEngine& engine, const CallStreamConfig& config) {
  auto made = CallStream::create(config, engine.uplink, engine.downlink);
  if (!made) ADD_FAILURE() << made.error().message;
  return made ? std::move(*made) : nullptr;
}

struct Peers {
  MediaPeer for_a, for_b;
};
/// What an SDP exchange would agree on.
Peers agree(std::uint16_t a_sends_to, std::uint16_t b_sends_to, int ptime_ms = 10) {
  Peers peers;
  const auto one = *SrtpKey::generate(SrtpSuite::kAesCm128HmacSha1_80);
  const auto two = *SrtpKey::generate(SrtpSuite::kAesCm128HmacSha1_80);
  peers.for_a.address = peers.for_b.address = "127.0.0.1";
  peers.for_a.port = a_sends_to;
  peers.for_b.port = b_sends_to;
  peers.for_a.ptime_ms = peers.for_b.ptime_ms = ptime_ms;
  peers.for_a.local_key = peers.for_b.remote_key = one;
  peers.for_b.local_key = peers.for_a.remote_key = two;
  return peers;
}

/// The tone arrived: nearly all of the power from one second on is at its frequency.
void expect_tone(const FakeEngine& engine, int rate, double hertz, double at_least_db) {
  const auto sound = std::span(engine.heard).subspan(static_cast<std::size_t>(rate));
  // In pieces: time scaling shifts the phase.
  double worst = 0, silent = 0;
  const auto piece = static_cast<std::size_t>(rate / 10);
  int pieces = 0;
  for (std::size_t at = 0; at + piece <= sound.size(); at += piece, ++pieces) {
    double power = 0;
    for (const float x : sound.subspan(at, piece)) power += static_cast<double>(x) * x;
    if (power / static_cast<double>(piece) < 0.02) ++silent;
    worst += tone_share_db(sound.subspan(at, piece), rate, hertz);
  }
  if (!engine.calm()) at_least_db -= 6;
  EXPECT_GT(worst / pieces, at_least_db);
  EXPECT_LE(silent, engine.calm() ? pieces / 20 + 1 : pieces / 2);
}

TEST(CallStream, F119_a_call_over_tls_and_srtp_carries_sound_both_ways) {
  test::TempFolder folder;
  LabAuthority ca(folder, "lab");
  const auto files = ca.issue("server", "IP:127.0.0.1");
  FakeEngine phone(48000, 440, 4), far(48000, 1000, 4);
  auto phone_stream = stream(phone, loopback());
  auto far_stream = stream(far, loopback());
  const auto media = [](const CallStream& s) {
    LocalMedia local;
    local.address = "127.0.0.1";
    local.port = s.local_port();
    return local;
  };

  SignallingConfig service_config;
  service_config.bind_address = "127.0.0.1";
  service_config.folder = folder.path("service");
  service_config.certificate_file = files.certificate;
  service_config.key_file = files.key;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<MediaPeer> phone_peer;
  Signalling* service_raw = nullptr;
  auto service = std::move(*create_signalling(service_config, [&](const SignallingEvent& e) {
    if (e.kind != SignallingEvent::Kind::kIncoming) return;
    const auto answer = make_answer(*e.sdp, media(*far_stream));
    ASSERT_TRUE(answer.ok());
    ASSERT_TRUE(far_stream->start(answer->peer).ok());
    const std::lock_guard lock(mutex);
    service_raw->answer(e.call, answer->description);
  }));
  {
    const std::lock_guard lock(mutex);
    service_raw = service.get();
  }
  SignallingConfig phone_config;
  phone_config.bind_address = "127.0.0.1";
  phone_config.folder = folder.path("phone");
  phone_config.ca_file = ca.ca_file();
  const auto offer = *make_offer(media(*phone_stream));
  auto caller = std::move(*create_signalling(phone_config, [&](const SignallingEvent& e) {
    if (e.kind != SignallingEvent::Kind::kAnswered) return;
    const auto peer = accept_answer(offer, *e.sdp);
    ASSERT_TRUE(peer.ok());
    const std::lock_guard lock(mutex);
    phone_peer = *peer;
    changed.notify_all();
  }));
  SipInvite invite;
  invite.target = "sip:room@127.0.0.1:" + std::to_string(service->port());
  invite.offer = offer;
  const auto call = caller->invite(invite);
  ASSERT_TRUE(call.ok());
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 5s, [&] { return phone_peer.has_value(); }));
  }
  ASSERT_TRUE(phone_stream->start(*phone_peer).ok());
  phone.start();
  far.start();
  phone.join();
  far.join();
  const auto stats = phone_stream->stats();
  caller->hang_up(*call);
  EXPECT_TRUE(stats.secured);
  EXPECT_TRUE(stats.receiving);
  EXPECT_GT(stats.tx_packets, 380u);
  EXPECT_GT(stats.rx_packets, 380u);
  EXPECT_EQ(stats.rx_lost, 0u);
  EXPECT_EQ(stats.srtp_failures + stats.rx_malformed + stats.rx_foreign, 0u);
  EXPECT_GE(stats.rtcp_rx, 1u);
  EXPECT_GE(stats.rtt_ms, 0);
  EXPECT_LT(stats.rtt_ms, 50);
  EXPECT_GT(stats.mos, 4);
  EXPECT_NEAR(stats.tx_kbps, 48 + 8 * 22 / 10.0, 25);
  expect_tone(phone, 48000, 1000, -1);
  expect_tone(far, 48000, 440, -1);
}

struct Shape {
  int rate, ptime_ms;
};
class CallStreamShapes : public testing::TestWithParam<Shape> {};
INSTANTIATE_TEST_SUITE_P(All, CallStreamShapes,
                         testing::Values(Shape{16000, 10}, Shape{48000, 20}));

TEST_P(CallStreamShapes, rate_and_packet_length) {
  const auto [rate, ptime] = GetParam();
  FakeEngine a(rate, 440, 3), b(rate, 1000, 3);
  auto one = stream(a, loopback(rate)), two = stream(b, loopback(rate));
  const auto peers = agree(two->local_port(), one->local_port(), ptime);
  ASSERT_TRUE(one->start(peers.for_a).ok());
  ASSERT_TRUE(two->start(peers.for_b).ok());
  a.start();
  b.start();
  a.join();
  b.join();
  EXPECT_NEAR(static_cast<double>(one->stats().tx_packets), 3000.0 / ptime, 200.0 / ptime);
  expect_tone(a, rate, 1000, -1);
  expect_tone(b, rate, 440, -1);
}

TEST(CallStream, keeps_the_downlink_short_and_full_while_clocks_differ) {
  // Two sound cards 1000 ppm apart: 8 ms in 8 s, and none of it may pile up.
  FakeEngine a(48000, 440, 8, 500), b(48000, 1000, 8, -500);
  auto one = stream(a, loopback()), two = stream(b, loopback());
  const auto peers = agree(two->local_port(), one->local_port());
  ASSERT_TRUE(one->start(peers.for_a).ok());
  ASSERT_TRUE(two->start(peers.for_b).ok());
  a.start();
  b.start();
  a.join();
  b.join();
  for (const auto* engine : {&a, &b}) {
    EXPECT_LE(engine->fullest, 2u);
    // A loaded machine may hold up the media thread; a pattern of it would show.
    EXPECT_LE(engine->starved, engine->calm() ? 8 : 200);
  }
  if (!a.calm() || !b.calm()) GTEST_SKIP() << "the machine is too busy to tell";
  for (const auto* s : {one.get(), two.get()}) {
    EXPECT_LE(s->stats().buffer_ms, 80);
    EXPECT_LE(s->stats().concealed_ms, 400u);
  }
}

TEST(CallStream, loss_and_jitter_are_concealed_and_counted) {
  FakeEngine a(48000, 440, 6), b(48000, 1000, 6);
  auto one = stream(a, loopback()), two = stream(b, loopback());
  std::mt19937 random(5);
  UdpRelay relay([&](int i) { return i > 20 && i % 10 == 0 ? -1.0 : 5.0 + random() % 25; },
                 [](int) { return 0.0; });
  relay.connect(one->local_port(), two->local_port());
  const auto peers = agree(relay.port_for_a(), relay.port_for_b());
  ASSERT_TRUE(one->start(peers.for_a).ok());
  ASSERT_TRUE(two->start(peers.for_b).ok());
  a.start();
  b.start();
  a.join();
  b.join();
  const auto good = one->stats(), bad = two->stats();
  EXPECT_NEAR(static_cast<double>(bad.rx_lost), 58, 8);
  EXPECT_NEAR(bad.loss_percent, 10, 3);
  EXPECT_GE(bad.concealed_ms, 450u);
  EXPECT_GT(good.remote_loss_percent, 3) << "the sender learns of it by RTCP";
  if (!a.calm() || !b.calm()) GTEST_SKIP() << "the machine is too busy to tell the rest";
  EXPECT_LE(bad.concealed_ms, 1200u);
  EXPECT_GT(b.concealed, 40);
  EXPECT_GT(bad.jitter_ms, 3);
  EXPECT_GT(bad.target_ms, 15);
  EXPECT_LT(bad.target_ms, 80);
  EXPECT_LT(bad.mos, good.mos);
  expect_tone(b, 48000, 440, -3);
}

TEST(CallStream, strangers_and_forgers_are_not_heard) {
  FakeEngine a(48000, 440, 3), b(48000, 1000, 3);
  auto one = stream(a, loopback()), two = stream(b, loopback());
  const auto peers = agree(two->local_port(), one->local_port());
  ASSERT_TRUE(one->start(peers.for_a).ok());
  // The other end has a key of its own invention.
  auto forged = peers.for_b;
  forged.local_key = *SrtpKey::generate(SrtpSuite::kAesCm128HmacSha1_80);
  ASSERT_TRUE(two->start(forged).ok());
  auto stranger = std::move(*UdpSocket::bind("127.0.0.1", 0));
  const auto to = *UdpAddress::parse("127.0.0.1", one->local_port());
  const std::vector<std::uint8_t> junk(100, 0x80);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(stranger->send(junk, to));
  a.start();
  b.start();
  a.join();
  b.join();
  const auto stats = one->stats();
  EXPECT_EQ(stats.rx_foreign, 50u);
  EXPECT_GT(stats.srtp_failures, 250u);
  EXPECT_EQ(stats.rx_packets, 0u);
  EXPECT_EQ(stats.mos, 0);
  for (const float x : a.heard) ASSERT_EQ(x, 0);
}

TEST(CallStream, latching_follows_the_authentic_peer_only) {
  FakeEngine a(48000, 440, 3), b(48000, 1000, 3);
  auto config = loopback();
  config.latching = true;
  auto one = stream(a, config), two = stream(b, loopback());
  // One was told a port behind a NAT where nobody is.
  auto nobody = std::move(*UdpSocket::bind("127.0.0.1", 0));
  const auto peers = agree(nobody->port(), one->local_port());
  ASSERT_TRUE(one->start(peers.for_a).ok());
  auto stranger = std::move(*UdpSocket::bind("127.0.0.1", 0));
  std::vector<std::uint8_t> junk(100, 0x80);
  junk[1] = 111;
  ASSERT_TRUE(stranger->send(junk, *UdpAddress::parse("127.0.0.1", one->local_port())));
  std::this_thread::sleep_for(50ms);
  ASSERT_TRUE(two->start(peers.for_b).ok());
  a.start();
  b.start();
  a.join();
  b.join();
  EXPECT_GE(one->stats().srtp_failures, 1u);
  EXPECT_GT(one->stats().rx_packets, 250u);
  EXPECT_GT(two->stats().rx_packets, 200u) << "and answers where it really is";
}

TEST(CallStream, mute_and_hold_send_no_sound) {
  FakeEngine a(48000, 440, 4), b(48000, 1000, 4);
  auto one = stream(a, loopback()), two = stream(b, loopback());
  auto peers = agree(two->local_port(), one->local_port());
  ASSERT_TRUE(one->start(peers.for_a).ok());
  ASSERT_TRUE(two->start(peers.for_b).ok());
  one->set_muted(true);
  a.start();
  b.start();
  std::this_thread::sleep_for(2s);
  peers.for_b.direction = Direction::kRecvOnly;
  ASSERT_TRUE(two->update(peers.for_b).ok());
  a.join();
  b.join();
  for (const float x : b.heard) ASSERT_LT(std::abs(x), 0.01);
  EXPECT_GT(two->stats().rx_packets, 350u) << "muted packets keep flowing";
  EXPECT_NEAR(static_cast<double>(two->stats().tx_packets), 200, 40);
  EXPECT_FALSE(one->stats().receiving);
  double tail = 0;
  for (std::size_t i = a.heard.size() - 4800; i < a.heard.size(); ++i) {
    tail = std::max(tail, static_cast<double>(std::abs(a.heard[i])));
  }
  EXPECT_EQ(tail, 0) << "after half a second of nothing there is silence";
}

TEST(CallStream, wrong_settings_are_explained) {
  FakeEngine engine(48000, 440, 1);
  const auto why = [&](auto change) {
    auto config = loopback();
    change(config);
    auto made = CallStream::create(config, engine.uplink, engine.downlink);
    return made ? std::string("accepted") : made.error().message;
  };
  EXPECT_THAT(why([](auto& c) { c.sample_rate = 44100; }), testing::HasSubstr("48000"));
  EXPECT_THAT(why([](auto& c) { c.bitrate = 1; }), testing::HasSubstr("bit rate"));
  EXPECT_THAT(why([](auto& c) { c.dscp = 64; }), testing::HasSubstr("DSCP"));
  EXPECT_THAT(why([](auto& c) { c.local_address = "host"; }), testing::HasSubstr("IP address"));
  EXPECT_THAT(why([](auto& c) { c.max_delay_ms = 1; }), testing::HasSubstr("jitter"));
  auto good = stream(engine, loopback());
  EXPECT_THAT(why([&](auto& c) { c.local_port = good->local_port(); }),
              testing::HasSubstr("cannot bind"));
  MediaPeer peer;
  EXPECT_FALSE(good->start(peer).ok());
  peer.address = "127.0.0.1";
  EXPECT_FALSE(good->start(peer).ok());
  peer.port = 9;
  peer.local_key = *SrtpKey::generate(SrtpSuite::kAesCm128HmacSha1_80);
  EXPECT_FALSE(good->start(peer).ok());
  peer.remote_key = *SrtpKey::generate(SrtpSuite::kAeadAes128Gcm);
  EXPECT_FALSE(good->start(peer).ok());
  EXPECT_FALSE(good->update(peer).ok());
  peer.address = "::1";
  peer.remote_key.reset();
  peer.local_key.reset();
  EXPECT_FALSE(good->start(peer).ok());
  good->stop();
  good->stop();
}

}  // namespace
}  // namespace conclave::media
