// SPDX-License-Identifier: Apache-2.0
// For leak checks of programs that make TLS calls: the SIP library drops the list of a server
// certificate's names, some hundred bytes for each outgoing connection, and 2 KB of its event loop
// when it could not start (port in use). Everything else counts.
// NOLINTBEGIN(bugprone-reserved-identifier): the names that the sanitizers look for
extern "C" const char* __asan_default_options();
extern "C" const char* __lsan_default_suppressions();

// Frames of libraries without frame pointers are seen by the slow unwinder alone.
extern "C" const char* __asan_default_options() { return "fast_unwind_on_malloc=0"; }
extern "C" const char* __lsan_default_suppressions() {
  return "leak:i2v_GENERAL_NAMES\nleak:X509V3_EXT_d2i\nleak:su_epoll_port_create\n";
}
// NOLINTEND(bugprone-reserved-identifier)
