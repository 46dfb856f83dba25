// SPDX-License-Identifier: Apache-2.0
#pragma once

// The SIP library's headers, with its callbacks' contexts typed the way it wants that done. Private
// to this folder's sofia_*.cpp.
namespace conclave::media {
class SofiaSignalling;
struct SofiaCall;
}  // namespace conclave::media

#define NUA_MAGIC_T conclave::media::SofiaSignalling
#define NUA_HMAGIC_T conclave::media::SofiaCall
#define SU_ROOT_MAGIC_T void
#define SU_TIMER_ARG_T conclave::media::SofiaSignalling

#include <sofia-sip/auth_common.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/nua.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_status.h>
#include <sofia-sip/su_tag.h>
#include <sofia-sip/su_wait.h>
#include <sofia-sip/tport_tag.h>
