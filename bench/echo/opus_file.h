// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "base/result.h"

namespace conclave::bench::echo {

/// A mono Ogg Opus file of about `kilobits` a second (6..256): what browsers play.
Result<std::string> opus_file(std::span<const float> samples, int rate, int kilobits);

}  // namespace conclave::bench::echo
