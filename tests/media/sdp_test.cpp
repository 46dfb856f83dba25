// SPDX-License-Identifier: Apache-2.0
#include "media/sip/sdp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "media/sip/hosts_file.h"
#include "media/sip/sip_text.h"

namespace conclave::media {
namespace {

LocalMedia local(std::uint16_t port = 40000) {
  LocalMedia media;
  media.address = "192.0.2.1";
  media.port = port;
  return media;
}

TEST(Sdp, offer_and_answer_agree_on_everything) {
  const auto offer = make_offer(local());
  ASSERT_TRUE(offer.ok());
  const auto text = build_sdp(*offer);
  EXPECT_THAT(text, testing::HasSubstr("m=audio 40000 RTP/SAVP 111 101\r\n"));
  EXPECT_THAT(text, testing::HasSubstr("a=rtpmap:111 opus/48000/2\r\n"));
  EXPECT_THAT(text, testing::HasSubstr("a=ptime:10\r\n"));
  EXPECT_THAT(text, testing::HasSubstr("a=rtcp-mux\r\n"));
  const auto parsed = parse_sdp(text);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(build_sdp(*parsed), text);

  auto theirs = local(50000);
  theirs.suites = {SrtpSuite::kAesCm128HmacSha1_80};
  theirs.max_average_bitrate = 32000;
  const auto answer = make_answer(*parsed, theirs);
  ASSERT_TRUE(answer.ok());
  const auto received = parse_sdp(build_sdp(answer->description));
  ASSERT_TRUE(received.ok());
  const auto peer = accept_answer(*offer, *received);
  ASSERT_TRUE(peer.ok());
  EXPECT_EQ(peer->port, 50000);
  EXPECT_TRUE(peer->rtcp_mux);
  EXPECT_EQ(peer->ptime_ms, 10);
  EXPECT_EQ(peer->max_bitrate, 32000);
  EXPECT_EQ(peer->local_key->suite(), SrtpSuite::kAesCm128HmacSha1_80);
  EXPECT_EQ(*peer->local_key, *answer->peer.remote_key);
  EXPECT_EQ(*peer->remote_key, *answer->peer.local_key);
  EXPECT_FALSE(*peer->remote_key == *peer->local_key);
}

constexpr char kForeign[] =
    "v=0\no=alice 1 2 IN IP4 198.51.100.7\ns=x\nc=IN IP4 198.51.100.1\nt=0 0\n"
    "m=video 5000 RTP/AVP 96\na=rtpmap:96 VP8/90000\n"
    "m=audio 5004/1 RTP/AVP 0 109 96\nc=IN IP4 198.51.100.2\na=rtpmap:96 telephone-event/48000\n"
    "a=rtpmap:109 OPUS/48000/2\na=fmtp:109 maxaveragebitrate=24000; useinbandfec=1\na=ptime:20\n"
    "a=rtcp:5010\na=recvonly\nm=audio 5006 RTP/AVP 0\n";

TEST(Sdp, reads_what_others_write) {
  const auto sdp = parse_sdp(kForeign);
  ASSERT_TRUE(sdp.ok()) << sdp.error().message;
  EXPECT_EQ(sdp->address, "198.51.100.2");
  EXPECT_EQ(sdp->port, 5004);
  EXPECT_EQ(sdp->rtcp_port, 5010);
  EXPECT_FALSE(sdp->rtcp_mux);
  EXPECT_EQ(sdp->opus_payload_type, 109);
  EXPECT_EQ(sdp->event_payload_type, 96);
  EXPECT_EQ(sdp->max_average_bitrate, 24000);
  EXPECT_TRUE(sdp->in_band_fec);
  EXPECT_EQ(sdp->direction, Direction::kRecvOnly);
  EXPECT_FALSE(sdp->secure);

  EXPECT_FALSE(make_answer(*sdp, local()).ok()) << "plain RTP must not pass where SRTP is required";
  auto lab = local();
  lab.require_srtp = false;
  const auto answer = make_answer(*sdp, lab);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->peer.direction, Direction::kSendOnly);
  EXPECT_EQ(answer->peer.ptime_ms, 20);
  EXPECT_EQ(answer->peer.send_payload_type, 109);
  // The refused streams keep their places.
  const auto text = build_sdp(answer->description);
  const auto video = text.find("m=video 0 RTP/AVP 96\r\n"), audio = text.find("m=audio 40000"),
             second = text.find("m=audio 0 RTP/AVP 0\r\n");
  ASSERT_NE(second, std::string::npos) << text;
  EXPECT_LT(video, audio);
  EXPECT_LT(audio, second);
}

TEST(Sdp, hold) {
  auto held = *make_offer(local());
  held.direction = Direction::kSendOnly;
  EXPECT_EQ(make_answer(held, local(1))->peer.direction, Direction::kRecvOnly);
  const auto old =
      parse_sdp("v=0\nc=IN IP4 0.0.0.0\nm=audio 9 RTP/AVP 111\na=rtpmap:111 opus/48000/2\n");
  ASSERT_TRUE(old.ok());
  EXPECT_EQ(old->direction, Direction::kInactive);
}

TEST(Sdp, an_answer_cannot_weaken_the_offer) {
  const auto offer = *make_offer(local());
  auto answer = make_answer(offer, local(2))->description;
  auto plain = answer;
  plain.secure = false;
  EXPECT_FALSE(accept_answer(offer, plain).ok());
  auto none = answer;
  none.crypto.clear();
  EXPECT_FALSE(accept_answer(offer, none).ok());
  auto other_tag = answer;
  other_tag.crypto[0].tag = 9;
  EXPECT_FALSE(accept_answer(offer, other_tag).ok());
  auto other_suite = answer;
  other_suite.crypto = {{answer.crypto[0].tag, *SrtpKey::generate(SrtpSuite::kAeadAes128Gcm)}};
  EXPECT_FALSE(accept_answer(offer, other_suite).ok());
  auto refused = answer;
  refused.port = 0;
  EXPECT_FALSE(accept_answer(offer, refused).ok());
  auto nothing_common = local();
  nothing_common.suites = {SrtpSuite::kAeadAes128Gcm};
  EXPECT_FALSE(make_answer(offer, nothing_common).ok());
}

TEST(Sdp, nonsense_is_explained) {
  const auto why = [](std::string_view text) {
    const auto sdp = parse_sdp(text);
    return sdp ? std::string("accepted") : sdp.error().message;
  };
  EXPECT_THAT(why(""), testing::HasSubstr("empty"));
  EXPECT_THAT(why(std::string(20000, 'a')), testing::HasSubstr("16 KiB"));
  EXPECT_THAT(why("hello"), testing::HasSubstr("v=0"));
  EXPECT_THAT(why("v=0\r\ns=-\r\n"), testing::HasSubstr("no RTP audio"));
  EXPECT_THAT(why("v=0\nm=audio 70000 RTP/AVP 0\n"), testing::HasSubstr("m= line"));
  EXPECT_THAT(why("v=0\nm=audio 7 RTP/AVP 200\n"), testing::HasSubstr("payload type"));
  EXPECT_THAT(why("v=0\nm=audio 7 RTP/AVP 0\n"), testing::HasSubstr("IP address"));
  EXPECT_THAT(why("v=0\nc=IN IP4 host.example\nm=audio 7 RTP/AVP 0\n"),
              testing::HasSubstr("IP address"));
  EXPECT_THAT(why("v=0\nc=IN IP4 1.2.3.4\nm=audio 7 RTP/AVP 0\n"), "accepted");
}

TEST(Sdp, survives_any_bytes) {
  std::mt19937 random(2);
  const std::string good = build_sdp(*make_offer(local()));
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = i % 2 != 0 ? good : kForeign;
    for (unsigned n = random() % 6; n > 0; --n) {
      const auto at = random() % text.size();
      switch (random() % 4) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.erase(at, random() % 20);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), random() % 40));
          break;
        default:
          text.insert(at, std::to_string(random()));
      }
      if (text.empty()) text = "v";
    }
    if (const auto sdp = parse_sdp(text)) {
      ++accepted;
      // What was accepted can be written and read again.
      EXPECT_TRUE(parse_sdp(build_sdp(*sdp)).ok()) << text;
      auto lab = local();
      lab.require_srtp = false;
      (void)make_answer(*sdp, lab);
    }
  }
  EXPECT_GT(accepted, 1000);
}

TEST(SipText, hosts_of_uris) {
  EXPECT_EQ(sip_host("sip:room@conf.example:5061;transport=tls"), "conf.example");
  EXPECT_EQ(sip_host("sips:conf.example"), "conf.example");
  EXPECT_EQ(sip_host("sip:a@[2001:db8::1]:5061"), "2001:db8::1");
  EXPECT_EQ(sip_host("conf.example"), "");
  EXPECT_EQ(sip_host("sip:a@[::1"), "");
  EXPECT_EQ(quoted("Room \"4\"\r\n\\"), "\"Room \\\"4\\\"\\\\\"");
}

TEST(HostsFile, finds_names) {
  constexpr char kText[] = "# comment\n::1 ip6 both\n10.0.0.1 one two # three\n10.0.0.2 both\n";
  EXPECT_EQ(find_in_hosts("two", kText), "10.0.0.1");
  EXPECT_EQ(find_in_hosts("three", kText), "");
  EXPECT_EQ(find_in_hosts("ip6", kText), "::1");
  EXPECT_EQ(find_in_hosts("both", kText), "10.0.0.2");
  EXPECT_EQ(find_in_hosts("localhost", kText), "127.0.0.1");
  EXPECT_EQ(with_local_address("sip:sip@localhost:5061;transport=tls"),
            "sip:sip@127.0.0.1:5061;transport=tls");
  EXPECT_EQ(with_local_address("sip:a@no.such.name.invalid"), "");
}

}  // namespace
}  // namespace conclave::media
