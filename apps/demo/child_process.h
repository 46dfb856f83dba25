// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace conclave::apps {

/// A program that this one started and answers for. Its standard output is a pipe to us, its
/// standard error a log file. It runs in a process group of its own, so that Ctrl-C reaches only us
/// and we can end everything in order; should we die without a word, the kernel ends it (SIGTERM).
/// One thread.
class ChildProcess {
 public:
  struct Options {
    std::string name;                                              ///< for messages
    std::vector<std::string> command;                              ///< program and arguments
    std::vector<std::pair<std::string, std::string>> environment;  ///< added to ours
    std::string log_file;                                          ///< standard error goes there
  };
  static Result<ChildProcess> start(Options options);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();  ///< stops it

  /// The next line of its standard output, without the line's end. Fails when it ends first or the
  /// time is up, with the last line of its log in the message.
  Result<std::string> read_line(std::chrono::milliseconds timeout);
  /// Reads and forgets what it printed, so that it never blocks on us.
  void drain();

  bool running();
  /// Waits for it to end by itself. False when the time is up.
  bool wait(std::chrono::milliseconds timeout);
  /// SIGTERM, then SIGKILL when `patience` is over. Returns whether it ended on its own accord.
  bool stop(std::chrono::milliseconds patience = std::chrono::seconds(5));

  const std::string& name() const { return options_.name; }
  pid_t pid() const { return pid_; }
  /// The exit code, 128 + n after signal n, -1 while it runs.
  int exit_code() const { return exit_code_; }
  /// The last line it wrote to its log, to explain a failure.
  std::string last_words() const;

 private:
  explicit ChildProcess(Options options) : options_(std::move(options)) {}
  bool reap(bool block);

  Options options_;
  pid_t pid_ = -1;
  int out_ = -1;
  int exit_code_ = -1;
  std::string pending_;
};

}  // namespace conclave::apps
