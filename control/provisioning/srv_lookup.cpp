// SPDX-License-Identifier: Apache-2.0
#include "control/provisioning/srv_lookup.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <poll.h>

#include <algorithm>
#include <array>

#include "control/errors/catalogue.h"

namespace conclave::control {
namespace {

constexpr int kTimeoutMs = 1500;  // of one try
constexpr int kTries = 2;
constexpr std::size_t kMaxRecords = 32;

bool library_ready() {
  static const bool ready = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
  return ready;
}

struct Channel {
  ares_channel handle = nullptr;
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() {
    if (handle != nullptr) ares_destroy(handle);
  }
  bool open() {
    ares_options options{};
    options.timeout = kTimeoutMs;
    options.tries = kTries;
    return library_ready() &&
           ares_init_options(&handle, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES) ==
               ARES_SUCCESS;
  }
};

struct Answer {
  bool there = false;
  int status = ARES_ECANCELLED;
  std::vector<SrvRecord> records;
};

void on_answer(void* user, int status, int, unsigned char* bytes, int size) {
  // Once for every question; when the channel is destroyed at the latest.
  auto& answer = *static_cast<Answer*>(user);
  answer.there = true;
  answer.status = status;
  ares_srv_reply* list = nullptr;
  if (status == ARES_SUCCESS) answer.status = ares_parse_srv_reply(bytes, size, &list);
  for (const ares_srv_reply* at = list; at != nullptr; at = at->next) {
    // "." means that the service is decidedly not there.
    const std::string host = at->host != nullptr ? at->host : "";
    if (host.empty() || host == "." || answer.records.size() >= kMaxRecords) continue;
    answer.records.push_back({host, at->port, at->priority, at->weight});
  }
  if (list != nullptr) ares_free_data(list);
}

void wait_for(ares_channel channel, const Answer& answer, std::chrono::milliseconds limit,
              const std::atomic<bool>& alive) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!answer.there && alive && std::chrono::steady_clock::now() < end) {
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
    const int wanted = ares_getsock(channel, sockets.data(), ARES_GETSOCK_MAXNUM);
    std::array<pollfd, ARES_GETSOCK_MAXNUM> polled{};
    nfds_t count = 0;
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
      const bool reads = ARES_GETSOCK_READABLE(wanted, i) != 0;
      const bool writes = ARES_GETSOCK_WRITABLE(wanted, i) != 0;
      if (!reads && !writes) continue;
      polled[count].fd = sockets[static_cast<std::size_t>(i)];
      polled[count].events = static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
      ++count;
    }
    ::poll(polled.data(), count, 50);
    for (nfds_t i = 0; i < count; ++i) {
      const bool reads = (polled[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
      const bool writes = (polled[i].revents & POLLOUT) != 0;
      if (!reads && !writes) continue;
      ares_process_fd(channel, reads ? polled[i].fd : ARES_SOCKET_BAD,
                      writes ? polled[i].fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // its own time limits
  }
}

Result<std::vector<SrvRecord>> look_up(const SrvLookup::Question& question,
                                       std::chrono::milliseconds limit,
                                       const std::atomic<bool>& alive) {
  Answer answer;  // outlives the channel, which may still call back while it goes
  {
    Channel channel;
    if (!channel.open()) return catalogue_error("NET-953", "the resolver cannot be started");
    std::string servers;
    for (const auto& server : question.servers) servers += (servers.empty() ? "" : ",") + server;
    if (!servers.empty() &&
        ares_set_servers_ports_csv(channel.handle, servers.c_str()) != ARES_SUCCESS) {
      return catalogue_error("NET-953", "the address of a name server is wrong");
    }
    ares_query(channel.handle, question.name.c_str(), ns_c_in, ns_t_srv, &on_answer, &answer);
    wait_for(channel.handle, answer, limit, alive);
  }
  switch (answer.status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
      return std::move(answer.records);
    default:
      return catalogue_error("NET-953", ares_strerror(answer.status));
  }
}

}  // namespace

std::vector<SrvRecord> in_srv_order(std::vector<SrvRecord> records,
                                    const std::function<std::uint32_t(std::uint32_t)>& random) {
  std::stable_sort(records.begin(), records.end(), [](const SrvRecord& a, const SrvRecord& b) {
    return a.priority != b.priority ? a.priority < b.priority : a.weight < b.weight;
  });
  for (auto first = records.begin(); first != records.end(); ++first) {
    const auto last = std::find_if(
        first, records.end(), [&](const SrvRecord& r) { return r.priority != first->priority; });
    std::uint32_t sum = 0;
    for (auto at = first; at != last; ++at) sum += at->weight;
    const std::uint32_t drawn = random(sum + 1);
    std::uint32_t running = 0;
    auto chosen = first;
    for (; chosen != last; ++chosen) {
      running += chosen->weight;
      if (running >= drawn) break;
    }
    if (chosen != last) std::rotate(first, chosen, chosen + 1);
  }
  return records;
}

void SrvLookup::ask(Question question, Done done, std::chrono::milliseconds limit) {
  worker_.post([loop = loop_, alive = alive_, question = std::move(question),
                done = std::move(done), limit] {
    if (!*alive) return;
    auto records = look_up(question, limit, *alive);
    loop->post([alive, done, records = std::move(records)]() mutable {
      if (*alive) done(std::move(records));
    });
  });
}

std::string SrvLookup::system_domain() {
  Channel channel;
  if (!channel.open()) return {};
  ares_options options{};
  int mask = 0;
  if (ares_save_options(channel.handle, &options, &mask) != ARES_SUCCESS) return {};
  std::string domain;
  if ((mask & ARES_OPT_DOMAINS) != 0 && options.ndomains > 0) domain = options.domains[0];
  ares_destroy_options(&options);
  return domain;
}

}  // namespace conclave::control
