// SPDX-License-Identifier: Apache-2.0
// What the service keeps: it survives a kill at any moment, and so do meetings that are running.
#include "service/store/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>

#include "service/call_control.h"
#include "service/meetings.h"
#include "tests/support/temp_folder.h"

namespace conclave::service {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
const std::string kBase = "/dolby/ws/rest/callcontrol";

std::unique_ptr<Store> open_store(const std::string& path) {
  auto store = Store::open(path);
  EXPECT_TRUE(store.ok()) << (store ? "" : store.error().message);
  return store ? std::move(*store) : nullptr;
}

TEST(ServiceStore, everything_comes_back_and_nothing_is_taken_for_code) {
  const test::TempFolder folder;
  const std::string odd = "x'); DROP TABLE phones; --";
  {
    const auto store = open_store(folder.path("service.db"));
    PhoneRecord phone{"basis", PhoneState::kActive, "digest", 77, {}};
    phone.entry = PhoneEntry{PhoneState::kInactive, "1234", 99, "cert"};
    ASSERT_TRUE(store->put_phone("SN1", phone).ok());
    ASSERT_TRUE(store->put_phone(odd, PhoneRecord{}).ok());
    MeetingRecord meeting;
    meeting.entry = {"m", odd, "1", "2", true, {"b@example.org", "a@example.org"}, false};
    ASSERT_TRUE(store->put_meeting("m", meeting).ok());
    ASSERT_TRUE(store->saw("SN1", {5, "192.0.2.1", "CP", "1.0"}).ok());
    for (int i = 0; i < 25; ++i) ASSERT_TRUE(store->put_report("SN1", "k", std::to_string(i)).ok());
    EXPECT_FALSE(store->put_report("SN1", "k", std::string(70'000, 'x')).ok());
  }
  const auto store = open_store(folder.path("service.db"));
  const auto phones = store->phones();
  ASSERT_TRUE(phones.ok());
  ASSERT_EQ(phones->size(), 2u);
  const PhoneRecord& phone = phones->at("SN1");
  EXPECT_EQ(phone.token_digest, "digest");
  ASSERT_TRUE(phone.entry.has_value());
  EXPECT_EQ(phone.entry->pin_expires_s, 99);
  EXPECT_FALSE(phones->at(odd).entry.has_value());
  const auto meetings = store->meetings();
  ASSERT_TRUE(meetings.ok());
  EXPECT_EQ(meetings->at("m").entry.title, odd);
  EXPECT_EQ(meetings->at("m").entry.emails,
            (std::vector<std::string>{"b@example.org", "a@example.org"}));
  EXPECT_EQ(store->seen().at("SN1").model, "CP");
  const auto reports = store->reports("SN1");
  ASSERT_EQ(reports.size(), static_cast<std::size_t>(Store::kReportsOfPhone));
  EXPECT_EQ(reports.front().body, "24");
}

TEST(ServiceStore, a_newer_or_damaged_file_is_refused_and_left_alone) {
  const test::TempFolder folder;
  const std::string path = folder.path("service.db");
  open_store(path);
  {
    auto raw = Database::open(path);
    ASSERT_TRUE((*raw)->execute("PRAGMA user_version=99").ok());
  }
  const auto newer = Store::open(path);
  ASSERT_FALSE(newer.ok());
  EXPECT_NE(newer.error().message.find("newer version"), std::string::npos);
  std::filesystem::create_symlink("/etc/passwd", folder.path("link.db"));
  EXPECT_FALSE(Store::open(folder.path("link.db")).ok());
}

TEST(ServiceStore, phones_json_is_taken_over_once) {
  const test::TempFolder folder;
  const std::string file = folder.path("phones.json");
  const std::string text =
      R"({"phones":{"A":{"state":"active","since":7,"token_sha256":"aa","basis":"bb"}}})";
  const auto store = open_store(folder.path("service.db"));
  std::ofstream(file) << text;
  ASSERT_TRUE(store->import_phones(file).ok());
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_TRUE(std::filesystem::exists(file + ".imported"));
  EXPECT_EQ(store->phones()->at("A").token_digest, "aa");
  // Killed before the file was renamed: what has happened since is newer.
  ASSERT_TRUE(store->put_phone("A", {"bb", PhoneState::kDeactivated, "", 8, {}}).ok());
  std::ofstream(file) << text;
  ASSERT_TRUE(store->import_phones(file).ok());
  EXPECT_EQ(store->phones()->at("A").state, PhoneState::kDeactivated);
}

/// Writes phones and sessions until it is killed, and tells each that is on the disk.
[[noreturn]] void write_for_ever(const std::string& path, int out) {
  auto store = Store::open(path);
  for (int i = 0; store && i < 100'000; ++i) {
    const std::string serial = "S" + std::to_string(i % 50);
    PhoneRecord record{"b", PhoneState::kActive, "", i, {}};
    if (!(*store)->put_phone(serial, record)) break;
    if (!(*store)->put_session({"d" + std::to_string(i % 50), static_cast<std::uint64_t>(i), serial,
                                "", (*store)->now() + 1000})) {
      break;
    }
    if (write(out, &i, sizeof i) != sizeof i) break;
  }
  _exit(1);
}

TEST(ServiceStore, killed_at_any_moment_it_has_what_it_acknowledged) {
  const test::TempFolder folder;
  const std::string path = folder.path("service.db");
  std::minstd_rand random(7);
  int told = 0;
  for (int kill_number = 0; kill_number < 25; ++kill_number) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) write_for_ever(path, ends[1]);
    close(ends[1]);
    int last = -1;
    int number = 0;
    // At the first rounds perhaps while the file is made; later in the middle of writing.
    if (kill_number >= 5) {
      const auto least = static_cast<int>(random() % 20);
      while (read(ends[0], &number, sizeof number) == sizeof number) {
        last = number;
        if (last >= least) break;
      }
    }
    usleep(static_cast<useconds_t>(random() % 3000));
    kill(child, SIGKILL);
    while (read(ends[0], &number, sizeof number) == sizeof number) last = number;
    close(ends[0]);
    waitpid(child, nullptr, 0);
    const auto store = open_store(path);
    ASSERT_NE(store, nullptr);
    const auto phones = store->phones();
    ASSERT_TRUE(phones.ok()) << phones.error().message;
    std::map<std::uint64_t, bool> sessions;
    for (const auto& session : store->sessions()) sessions[session.session] = true;
    for (int i = std::max(0, last - 49); i <= last; ++i) {
      const auto found = phones->find("S" + std::to_string(i % 50));
      ASSERT_NE(found, phones->end());
      // The writer may have been a few steps further than it could tell.
      EXPECT_GE(found->second.since_s, last - 49);
      EXPECT_TRUE(sessions.contains(static_cast<std::uint64_t>(i)) ||
                  sessions.contains(static_cast<std::uint64_t>(i) + 50));
      ++told;
    }
    // The next round begins at 0 again.
    for (int i = 0; i < 50; ++i) (void)store->remove_phone("S" + std::to_string(i));
    for (int i = 0; i < 50; ++i) store->remove_sessions("S" + std::to_string(i));
  }
  EXPECT_GT(told, 100);
}

TEST(ServiceStore, what_is_imported_survives_a_kill_halfway) {
  const test::TempFolder folder;
  const std::string path = folder.path("service.db");
  {
    auto raw = Database::open(path);
    ASSERT_TRUE(raw.ok());
    Transaction half(**raw);
    ASSERT_TRUE((*raw)->execute("CREATE TABLE phones(x)").ok());
    // Not committed: as after a kill.
  }
  EXPECT_NE(open_store(path), nullptr);
}

/// A service without network, and what it keeps.
struct Running {
  ManualClock& clock;
  std::unique_ptr<Store> store;
  Directory directory;
  ConferenceBook book{clock};
  Meetings meetings{directory, store.get()};
  PhoneBook phones{directory, store.get()};
  FaultDesk faults;
  std::unique_ptr<CallControl> control;

  Running(ManualClock& c, const std::string& path)
      : clock(c), store(open_store(path)), directory(*parse_directory(R"({"conferences":[
    {"id":"room","title":"Room","chairperson_passcode":"246810","participant_passcode":"135790"}]})")) {
    EXPECT_TRUE(meetings.load().ok());
    EXPECT_TRUE(phones.load().ok());
    book.keep_in(*store);
    control = std::make_unique<CallControl>(CallControlConfig{}, clock, meetings, book, phones,
                                            faults, store.get());
    control->set_sip("127.0.0.1", 5061);
  }
  HttpAnswer ask(HttpMethod method, const std::string& path, const std::string& body,
                 const std::string& bearer) {
    HttpRequest request;
    request.method = method;
    request.path = kBase + path;
    request.body = body;
    request.bearer = bearer;
    request.peer = "127.0.0.1";
    return control->handle(request);
  }
  std::string login(const std::string& serial) {
    protocol::LoginRequest request;
    request.serial = serial;
    return protocol::parse_login_response(
               ask(HttpMethod::kPost, "/login", to_json(request), "").body)
        ->token;
  }
  protocol::JoinResponse join(const std::string& token, const std::string& passcode) {
    return *protocol::parse_join_response(
        ask(HttpMethod::kPost, "/conferences/join", R"({"passcode":")" + passcode + "\"}", token)
            .body);
  }
};

TEST(ServiceStore, running_meetings_survive_the_service) {
  const test::TempFolder folder;
  ManualClock clock;
  std::string chair, guest;
  std::string chair_id, guest_id;
  std::uint64_t revision = 0;
  {
    Running service(clock, folder.path("service.db"));
    chair = service.login("SN1");
    guest = service.login("SN2");
    chair_id = service.join(chair, "246810").participant.id;
    guest_id = service.join(guest, "135790").participant.id;
    ASSERT_TRUE(service.book.arrived(chair_id));
    ASSERT_TRUE(service.book.arrived(guest_id));
    EXPECT_EQ(
        service.ask(HttpMethod::kPost, "/conferences/room/mute", R"({"muted":true})", chair).status,
        200);
    revision = service.book.revision("room");
    // No leaving: as at a kill, or at an orderly end, where calls are hung up afterwards.
    service.book.keep_no_more();
    service.book.remove(guest_id);
  }
  Running service(clock, folder.path("service.db"));
  EXPECT_NE(service.book.revision("room"), revision) << "who waits for a change must be answered";
  for (const auto& [token, id] : {std::pair{chair, chair_id}, {guest, guest_id}}) {
    const auto known = service.control->authenticate(protocol::participant_header(id, token));
    ASSERT_TRUE(known.has_value()) << "the same INVITE is good again";
    EXPECT_FALSE(known->present);
    EXPECT_EQ(service.ask(HttpMethod::kGet, "/conferences/room/roster", "", token).status, 200);
    EXPECT_TRUE(service.book.arrived(id));
  }
  const auto roster = service.book.roster("room");
  ASSERT_EQ(roster.participants.size(), 2u);
  EXPECT_TRUE(roster.participants.at(guest_id).muted);
  EXPECT_FALSE(roster.participants.at(chair_id).muted);
  // "Mute all" goes on too, and new sessions do not meet old ones.
  const std::string third = service.login("SN3");
  const auto late = service.join(third, "135790");
  EXPECT_TRUE(service.book.find(late.participant.id)->entry.muted);
  EXPECT_EQ(service.book.find_of_session(service.book.find(chair_id)->session, "room")->id,
            chair_id);
}

TEST(ServiceStore, who_does_not_come_back_is_gone_after_a_minute_and_stays_so) {
  const test::TempFolder folder;
  ManualClock clock;
  std::string token, id;
  {
    Running service(clock, folder.path("service.db"));
    token = service.login("SN1");
    id = service.join(token, "246810").participant.id;
    service.book.arrived(id);
  }
  {
    Running service(clock, folder.path("service.db"));
    clock.advance_ns((ConferenceBook::kExpectedSeconds + 1) * kSecond);
    service.book.sweep();
    EXPECT_FALSE(service.book.find(id).has_value());
    service.control->shut_out("SN1");
  }
  Running service(clock, folder.path("service.db"));
  EXPECT_FALSE(service.book.find(id).has_value());
  EXPECT_EQ(
      service.ask(HttpMethod::kPost, "/conferences/join", R"({"passcode":"1"})", token).status,
      401);
}

TEST(ServiceStore, F110_meetings_made_changed_and_deleted_on_top_of_the_file) {
  const test::TempFolder folder;
  ManualClock clock;
  {
    Running service(clock, folder.path("service.db"));
    ConferenceEntry made{"new", "New", "777", "888", false, {}, true};
    ASSERT_TRUE(service.meetings.put(made).ok());
    made.participant_passcode = "246810";
    const Status taken = service.meetings.put(made);
    ASSERT_FALSE(taken.ok());
    EXPECT_NE(taken.error().message.find("room"), std::string::npos);
    made.participant_passcode = "777";
    EXPECT_FALSE(service.meetings.put(made).ok());
    ConferenceEntry changed = *service.meetings.find("room");
    changed.title = "Renamed";
    ASSERT_TRUE(service.meetings.put(changed).ok());
  }
  {
    Running service(clock, folder.path("service.db"));
    EXPECT_EQ(service.meetings.find("room")->title, "Renamed");
    EXPECT_EQ(service.meetings.find_by_passcode("888")->conference.id, "new");
    // The file is changed: its word counts.
    service.directory.conferences[0].title = "From the file";
    EXPECT_EQ(service.meetings.find("room")->title, "From the file");
    EXPECT_TRUE(*service.meetings.remove("room"));
    EXPECT_TRUE(*service.meetings.remove("new"));
    EXPECT_FALSE(*service.meetings.remove("new"));
    EXPECT_FALSE(service.meetings.find_by_passcode("246810").has_value());
  }
  {
    Running service(clock, folder.path("service.db"));
    service.directory.conferences[0].title = "From the file";
    EXPECT_FALSE(service.meetings.find("room").has_value()) << "deleted is deleted";
  }
  // The file takes a passcode that an administrator's meeting has: the file counts.
  {
    Running service(clock, folder.path("service.db"));
    ASSERT_TRUE(service.meetings.put({"mine", "Mine", "555", "556", false, {}, true}).ok());
  }
  Running service(clock, folder.path("service.db"));
  service.directory.conferences[0].participant_passcode = "555";
  ASSERT_TRUE(service.meetings.load().ok());
  EXPECT_EQ(service.meetings.find_by_passcode("555")->conference.id, "room");
  EXPECT_FALSE(service.meetings.find("mine").has_value());
}

}  // namespace
}  // namespace conclave::service
