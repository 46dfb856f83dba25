// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace conclave::service {

/// The steps from an empty file to the present schema: step n leads from user_version n to n + 1.
/// A step that has been delivered is never changed; what comes is a step more.
std::span<const char* const> migrations();

}  // namespace conclave::service
