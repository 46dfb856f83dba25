// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>

#include "base/result.h"

namespace conclave::apps {

/// How the programs end: 0 on success, 2 on wrong use, 1 on failure.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitWrongUse = 2;

/// One line that says what and what to do next.
inline int report(const Status& status) {
  if (status) return kExitOk;
  std::fprintf(stderr, "conclave: %s\n", status.error().message.c_str());
  return kExitFailure;
}

}  // namespace conclave::apps
