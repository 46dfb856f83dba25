// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

namespace conclave::control {

/// A factory reset in two steps, so that neither a power cut nor a running component can leave half
/// of it: the order is written down durably, the program starts anew, and before it reads anything
/// the order is carried out.
///
/// All that lies in the data folder is deleted, but for the service's CA certificate
/// (`Security.Certificates.ServiceCa`), whose setting is kept too (guide 4).
Status order_factory_reset(const std::string& data_folder, const std::string& service_ca);

/// Carries out what was ordered, if anything. True when the phone is new now. To be called before
/// anything in the folder is opened; when it was interrupted, the next call does it all again.
Result<bool> finish_factory_reset(const std::string& data_folder);

}  // namespace conclave::control
