// SPDX-License-Identifier: Apache-2.0
#include "apps/far_end/talker.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "bench/room/voices.h"

namespace conclave::apps {
namespace {

constexpr int kRate = 48000;
constexpr double kSpeechSeconds = 60;
constexpr int kFade = kRate / 100;
constexpr int kPause = kRate / 4;  // between sentences

}  // namespace

Result<Talker> Talker::create(const TalkerConfig& config) {
  Talker talker;
  if (config.voice == "none" || config.talk_s <= 0) return talker;
  CONCLAVE_TRY(const auto sentences,
               bench::room::load_utterances(config.voice, kRate, kSpeechSeconds, config.seed));
  const auto gain = static_cast<float>(std::pow(10.0, config.level_dbfs / 20));
  for (const auto& sentence : sentences) {
    for (const float s : sentence) talker.speech_.push_back(std::clamp(s * gain, -0.98f, 0.98f));
    talker.speech_.insert(talker.speech_.end(), kPause, 0.0f);
  }
  if (talker.speech_.empty()) return Error{"The voice \"" + config.voice + "\" says nothing"};
  talker.talk_ = std::llround(config.talk_s * kRate);
  talker.period_ = talker.talk_ + std::llround(std::max(0.0, config.silent_s) * kRate);
  talker.now_ = -std::llround(std::max(0.0, config.offset_s) * kRate);
  return talker;
}

bool Talker::next(std::span<float> out) {
  bool speaking = false;
  for (float& sample : out) {
    sample = 0;
    const std::int64_t now = now_++;
    if (period_ == 0 || now < 0) continue;
    const std::int64_t within = now % period_;
    if (within >= talk_) continue;
    // Soft edges: a cut in the middle of a vowel would be a click.
    const std::int64_t edge = std::min(within, talk_ - within);
    const float fade = period_ == talk_ || edge >= kFade ? 1.0f : static_cast<float>(edge) / kFade;
    sample = speech_[at_] * fade;
    at_ = (at_ + 1) % speech_.size();
    speaking = true;
  }
  return speaking;
}

Status parse_schedule(const std::string& text, TalkerConfig& config) {
  std::istringstream in(text);
  std::vector<double> parts;
  for (std::string part; std::getline(in, part, ',');) {
    std::istringstream number(part);
    double value = -1;
    if (!(number >> value) || !number.eof() || value < 0 || value > 3600) {
      return Error{"\"" + text +
                   "\" is no schedule; write seconds as TALK,SILENCE or "
                   "TALK,SILENCE,OFFSET"};
    }
    parts.push_back(value);
  }
  if (parts.size() < 2 || parts.size() > 3) {
    return Error{"\"" + text +
                 "\" is no schedule; write seconds as TALK,SILENCE or "
                 "TALK,SILENCE,OFFSET"};
  }
  config.talk_s = parts[0];
  config.silent_s = parts[1];
  if (parts.size() == 3) config.offset_s = parts[2];
  return {};
}

}  // namespace conclave::apps
