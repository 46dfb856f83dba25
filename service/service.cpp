// SPDX-License-Identifier: Apache-2.0
#include "service/service.h"

#include <curl/curl.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"
#include "service/admin/meeting_desk.h"
#include "service/admin_desk.h"
#include "service/call_control.h"
#include "service/fault_desk.h"
#include "service/focus/focus.h"
#include "service/https_server.h"
#include "service/janus/room_recorder.h"
#include "service/lab_ca.h"
#include "service/meetings.h"
#include "service/phone_book.h"
#include "service/provisioning/provisioning.h"
#include "service/secrets.h"
#include "service/store/store.h"
#include "service/tunnel/turn_child.h"

namespace conclave::service {
namespace {

constexpr int kMaxConnections = 2048;  // some hundred phones, each with one or two

std::string bracketed(const std::string& address) {
  return address.find(':') != std::string::npos ? "[" + address + "]" : address;
}

class ConferenceService final : public Service {
 public:
  explicit ConferenceService(const ServiceConfig& config) : config_(config), book_(clock_) {
    static std::once_flag once;
    std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
    if (config_.advertise.empty()) config_.advertise = config_.listen;
  }

  ~ConferenceService() override {
    {
      const std::lock_guard lock(server_mutex_);
      server_ = nullptr;
    }
    https_.reset();  // nobody comes in any more
    // Who is here now is expected when the service comes back: ending its calls is no leaving.
    book_.keep_no_more();
    focus_.reset();  // its last events still find the book, and the book's listener finds it
  }

  Status run() {
    if (mkdir(config_.data.c_str(), 0700) != 0 && errno != EEXIST) {
      return Error{"Cannot make the folder " + config_.data + ": " + std::strerror(errno) +
                   "; choose another one by --data"};
    }
    // Janus and SIP are told absolute paths.
    std::error_code error;
    config_.data = std::filesystem::absolute(config_.data, error).lexically_normal().string();
    const std::string file = config_.directory_file.empty() ? config_.data + "/conferences.json"
                                                            : config_.directory_file;
    CONCLAVE_TRY(directory_, load_or_make_directory(file));
    CONCLAVE_TRY(store_, Store::open(config_.data + "/service.db"));
    CONCLAVE_CHECK_STATUS(store_->import_phones(config_.data + "/phones.json"));
    meetings_ = std::make_unique<Meetings>(directory_, store_.get());
    CONCLAVE_CHECK_STATUS(meetings_->load());
    phones_ = std::make_unique<PhoneBook>(directory_, store_.get());
    CONCLAVE_CHECK_STATUS(phones_->load());
    book_.keep_in(*store_);
    admin_token_file_ = config_.data + "/admin.token";
    CONCLAVE_TRY(const std::string admin_token, load_or_make_admin_token(admin_token_file_));
    std::vector<std::string> names{"localhost", "127.0.0.1", config_.advertise};
    if (config_.listen != "0.0.0.0" && config_.listen != "::") names.push_back(config_.listen);
    names.insert(names.end(), config_.names.begin(), config_.names.end());
    CONCLAVE_TRY(certificates_, ensure_lab_certificates(config_.data, names));

    ConferenceBook::Listener listener;
    listener.roster_changed = [this] {
      const std::lock_guard lock(server_mutex_);
      if (server_ != nullptr) server_->notify();
    };
    listener.removed = [this](const std::string& id) {
      if (Focus* focus = calls_.load()) focus->removed(id);
    };
    listener.mute_changed = [this](const std::string& id, bool muted) {
      if (Focus* focus = calls_.load()) focus->mute_changed(id, muted);
    };
    book_.set_listener(std::move(listener));

    control_config_.token_lifetime_s = config_.token_lifetime_s;
    control_ = std::make_unique<CallControl>(control_config_, clock_, *meetings_, book_, *phones_,
                                             faults_, store_.get());
    admin_ = std::make_unique<AdminDesk>(clock_, admin_token, *phones_, faults_,
                                         [this](const std::string& serial, PhoneState state) {
                                           if (state != PhoneState::kActive) {
                                             control_->shut_out(serial);
                                           }
                                         });
    ProvisioningConfig provisioning;
    provisioning.folder = config_.data + "/provisioning";
    provisioning.ca_file = certificates_.ca_file;
    provisioning.sign = config_.sign_configurations;
    provisioning.open = config_.open_provisioning;
    Provisioning::Hooks hooks;
    hooks.notify = [this] {
      const std::lock_guard lock(server_mutex_);
      if (server_ != nullptr) server_->notify();
    };
    hooks.known = [this](const std::string& serial) { return phones_->knows(serial); };
    hooks.check_sync = [this](const std::string& serial) {
      Focus* focus = calls_.load();
      bool sent = false;
      for (const auto& participant : book_.of_serial(serial)) {
        sent = (focus != nullptr && focus->check_sync(participant)) || sent;
      }
      return sent;
    };
    CONCLAVE_TRY(provisioning_,
                 Provisioning::create(provisioning, clock_, faults_, *store_, std::move(hooks)));
    admin_->extend([this](const HttpRequest& request, std::string_view path) {
      auto answer = meeting_ ? meeting_->operator_desk(request, path) : std::nullopt;
      return answer ? answer : provisioning_->admin(request, path);
    });
    meeting_desk_ = std::make_unique<MeetingDesk>(*meetings_, book_);
    admin_->set_meetings(meeting_desk_.get());
    admin_->set_health([this] { return health(); });
    admin_->set_store(store_.get());
    if (config_.recordings.empty()) config_.recordings = config_.data + "/recordings";
    config_.recordings = std::filesystem::absolute(config_.recordings, error).string();
    if (const int left = finish_left_recordings(config_.recordings); left > 0) {
      log::info("service", "recordings of before finished", {{"count", left}});
    }
    FocusConfig focus;
    focus.listen = config_.listen;
    focus.advertise = config_.advertise;
    focus.sip_port = config_.sip_port;
    focus.certificate_file = certificates_.certificate_file;
    focus.key_file = certificates_.key_file;
    focus.ca_file = certificates_.ca_file;
    focus.folder = config_.data;
    focus.prebuffer = config_.prebuffer;
    focus.silent_after_s = config_.silent_after_s;
    focus.dial_out = config_.dial_out;
    focus.recordings = config_.recordings;
    CONCLAVE_TRY(
        focus_,
        Focus::start(
            focus, [this](std::string_view header) { return control_->authenticate(header); },
            book_));
    calls_.store(focus_.get());
    MeetingControl::Actions actions;
    actions.dial = [this](const ConferenceBook::Participant& callee, const std::string& to) {
      Focus* calls = calls_.load();
      return calls != nullptr ? calls->dial(callee, to) : Status(Error{"", "CC-DIALOUT-CCS"});
    };
    actions.record = [this](const std::string& conference, bool recording) {
      if (Focus* calls = calls_.load()) calls->record(conference, recording);
    };
    actions.dialable = [this](const std::string& to) -> Status {
      CONCLAVE_TRY([[maybe_unused]] const auto address, dial_address(config_.dial_out, to));
      return {};
    };
    actions.operator_address = config_.operator_address;
    meeting_ = std::make_unique<MeetingControl>(book_, std::move(actions));
    control_->set_meeting(meeting_.get());
    std::vector<CallControl::SipAddress> sip;
    for (const auto& text : config_.sip_addresses) sip.push_back(parse_address(text));
    if (sip.empty()) sip.push_back({config_.advertise, focus_->sip_port()});
    control_->set_sip(std::move(sip));
    CONCLAVE_CHECK_STATUS(start_tunnel());

    HttpsConfig https;
    https.address = config_.listen;
    https.port = config_.rest_port;
    https.certificate_file = certificates_.certificate_file;
    https.key_file = certificates_.key_file;
    https.host_names = config_.names;
    https.max_connections = kMaxConnections;
    https.browser_path = AdminDesk::kBasePath;
    https.host_names.push_back(config_.advertise);
    https.roomy_paths = {"/provisioning/", "/admin/provisioning/", "/admin/phones/"};
    CONCLAVE_TRY(https_, HttpsServer::start(https, [this](const HttpRequest& request) {
                   return route(request, *control_, *admin_, provisioning_.get());
                 }));
    provisioning_->set_origin(origin());
    const std::lock_guard lock(server_mutex_);
    server_ = https_.get();
    return {};
  }

  std::string ready_line() const override {
    nlohmann::json conferences = nlohmann::json::array();
    for (const auto& [c, declared] : meetings_->list()) {
      conferences.push_back({{"title", c.title},
                             {"chairperson_passcode", c.chairperson_passcode},
                             {"participant_passcode", c.participant_passcode}});
    }
    nlohmann::ordered_json line = {
        {"ready", true},
        {"rest", rest_address()},
        {"sip", bracketed(config_.advertise) + ":" + std::to_string(sip_port())},
        {"ca", certificates_.ca_file},
        {"admin", origin() + std::string(AdminDesk::kBasePath)},
        {"admin_token_file", admin_token_file_},
        {"console", provisioning_->console_address()},
        {"provisioning", provisioning_->server_address()},
        {"conferences", std::move(conferences)}};
    if (const auto key = provisioning_->public_key_file(); !key.empty()) {
      line["configuration_key"] = key;
    }
    return line.dump();
  }
  std::string rest_address() const override { return origin() + control_config_.base_path; }
  int sip_port() const override { return focus_->sip_port(); }
  std::string ca_file() const override { return certificates_.ca_file; }
  int tunnel_pid() const override { return tunnel_ ? tunnel_->pid() : -1; }
  int tunnel_port() const override { return tunnel_ ? tunnel_->port() : 0; }
  BridgeStatus bridge_status() const override { return focus_->bridge_status(); }
  LegStats leg_stats(const std::string& participant) const override {
    return focus_->leg_stats(participant).value_or(LegStats{});
  }
  void tick() override { book_.sweep(); }

 private:
  std::string origin() const {
    return "https://" + bracketed(config_.advertise) + ":" + std::to_string(https_->port());
  }
  std::string health() const {
    const Focus* calls = calls_.load();
    const BridgeStatus bridge = calls != nullptr ? calls->bridge_status() : BridgeStatus{};
    const std::int64_t up_ns = clock_.now_ns() - started_ns_;
    return nlohmann::json{{"version", CONCLAVE_VERSION},
                          {"uptime_s", up_ns / 1'000'000'000},
                          {"meetings", meetings_->list().size()},
                          {"participants", book_.count()},
                          {"sip_port", sip_port()},
                          {"mixer",
                           {{"running", bridge.running},
                            {"restarts", bridge.restarts},
                            {"participants", bridge.joined}}}}
        .dump();
  }

  CallControl::SipAddress parse_address(const std::string& text) const {
    const auto colon = text.rfind(':');
    const bool with_port = colon != std::string::npos && text.find(']', colon) == text.npos &&
                           (text.find(':') == colon || text.front() == '[');
    std::string host = with_port ? text.substr(0, colon) : text;
    if (!host.empty() && host.front() == '[') host = host.substr(1, host.size() - 2);
    return {host, with_port ? std::atoi(text.c_str() + colon + 1) : focus_->sip_port()};
  }

  Status start_tunnel() {
    if (!config_.tunnel) return {};
    TurnServerConfig turn;
    turn.folder = config_.data + "/tunnel";
    turn.listen = config_.listen;
    turn.advertise = config_.advertise;
    turn.port = config_.tunnel_port;
    turn.certificate_file = certificates_.certificate_file;
    turn.key_file = certificates_.key_file;
    turn.peer = config_.advertise;
    turn.secret = random_hex(32);
    CONCLAVE_TRY(tunnel_, TurnServer::start(turn));
    control_->set_tunnel([this, secret = turn.secret](const std::string& participant)
                             -> std::optional<protocol::JoinResponse::Tunnel> {
      protocol::JoinResponse::Tunnel out;
      out.host = config_.advertise;
      out.port = tunnel_->port();
      out.probe_port = tunnel_->probe_port();
      const auto credentials =
          turn_credentials(secret, participant, std::time(nullptr) + kTunnelCredentialsS);
      out.username = credentials.username;
      out.password = credentials.password;
      return out;
    });
    return {};
  }

  /// A call may last that long before its tunnel must be opened anew.
  static constexpr std::int64_t kTunnelCredentialsS = 12 * 3600;

  ServiceConfig config_;
  CallControlConfig control_config_{};
  const SystemClock clock_{};
  const std::int64_t started_ns_ = clock_.now_ns();
  Directory directory_{};
  LabCertificates certificates_{};
  std::unique_ptr<Store> store_;
  ConferenceBook book_;
  std::unique_ptr<Meetings> meetings_;
  std::unique_ptr<PhoneBook> phones_;
  FaultDesk faults_;
  std::string admin_token_file_;
  std::unique_ptr<CallControl> control_;
  std::unique_ptr<MeetingDesk> meeting_desk_;
  std::unique_ptr<MeetingControl> meeting_;
  std::unique_ptr<AdminDesk> admin_;
  std::unique_ptr<Provisioning> provisioning_;
  std::unique_ptr<TurnServer> tunnel_;
  std::unique_ptr<Focus> focus_;
  std::unique_ptr<HttpsServer> https_;
  std::atomic<Focus*> calls_{nullptr};  ///< focus_, also while it is going
  std::mutex server_mutex_;
  HttpsServer* server_ = nullptr;  ///< https_, null while it is going
};

}  // namespace

Result<std::unique_ptr<Service>> Service::start(const ServiceConfig& config) {
  auto service = std::make_unique<ConferenceService>(config);
  CONCLAVE_CHECK_STATUS(service->run());
  return std::unique_ptr<Service>(std::move(service));
}

}  // namespace conclave::service
