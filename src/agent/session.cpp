#include "src/agent/session.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "src/base/cut_text.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/file.hpp"
#include "src/base/log.hpp"
#include "src/base/version.hpp"
#include "src/os/memory.hpp"
#include "src/os/process.hpp"
#include "src/pki/csr.hpp"
#include "src/pki/renew.hpp"

namespace rexec::agent {

namespace event = wire::event;

namespace {

constexpr Millis kRestAfter{5'000};
constexpr Millis kReportAgain{5'000};
constexpr Millis kScheduleNews{200};
constexpr Millis kNoteAfter{500};
// Of one reconcile. A record has up to 64 KiB, and a message may have 256.
constexpr std::size_t kPageJobs = 200;
constexpr std::size_t kPageBytes = 128 << 10;
constexpr std::size_t kReportsUnderWay = 64;
constexpr std::size_t kMostHeldWords = 1'000;
constexpr std::size_t kMostSeen = 128;  // of one text of what the controller says of its history

// What the controller is told of a job, as it is now.
wire::Map news_of(const LocalJob& job) {
  wire::Map news{{"job", job.key().job.text},
                 {"attempt", job.key().attempt},
                 {"state", !job.ended()         ? "running"
                           : job.next_ms() == 0 ? "final"
                                                : "restarting"},
                 {"ticket", job.meta().ticket},
                 {"started_ms", job.started_ms()}};
  if (!job.ended() && !job.held_why().empty())
    news["held"] = cut_text(job.held_why(), kMostHeldWords);
  if (job.next_ms() != 0) news["next_attempt_ms"] = job.next_ms();
  if (job.ended()) {
    wire::Map record = wire::Map::parse(job.record(), nullptr, false);
    if (record.is_object()) news["record"] = std::move(record);
  }
  return news;
}

// This run of this agent on this machine: the spawner that started us. The same for every
// connection it makes; another one for a copy of the data directory elsewhere.
std::string instance() {
  const pid_t spawner = ::getppid();
  return os::boot_id() + "." + std::to_string(spawner) + "." +
         std::to_string(os::start_ticks(spawner).value_or(0));
}

}  // namespace

Session::Session(asio::io_context& context, std::string data_dir, AgentConfig config, Events events)
    : context_(context),
      data_dir_(std::move(data_dir)),
      config_(std::move(config)),
      events_(std::move(events)),
      ended_(context.get_executor()),
      renewal_(context.get_executor()),
      rest_(context.get_executor()),
      outbox_(context.get_executor()),
      schedule_news_(context.get_executor()),
      note_(context.get_executor()),
      random_(std::random_device{}()),
      backoff_(random_()) {}

Session::~Session() {
  if (note_waits_) write_note();
  if (driver_) driver_->detach({Code::kLinkLost, "the agent is stopping", {}});
}

void Session::stop(const std::string& why) {
  stopping_ = true;
  if (driver_) {
    const auto driver = driver_;
    driver->session().close({Code::kLinkLost, why, {}});
    driver->flush();
  }
  ended_.notify();
}

net::Task<bool> Session::connect() {
  if (!tls_) {
    auto credentials = load_net_credentials(data_dir_);
    if (!credentials) {
      events_.on_fatal(credentials.error());
      co_return false;
    }
    credentials_ = std::move(*credentials);
    auto tls = net::TlsContext::client(credentials_);
    if (!tls) {
      events_.on_fatal(tls.error());
      co_return false;
    }
    tls_ = std::move(*tls);
  }
  net::DialOptions dial_options{config_.addresses, Millis{10'000}, {}};
  auto transport = co_await net::dial(*tls_, std::move(dial_options));
  if (!transport) {
    if (transport.error().message != last_error_.message)
      log_warn("cannot reach the controller", {{"why", transport.error().message}});
    last_error_ = transport.error();
    co_return false;
  }
  wire::SessionOptions options;
  options.side = wire::Side::kDialler;
  options.max_streams = 65'536;
  options.now = BootClock::now();
  driver_ =
      std::make_shared<net::SessionDriver>(context_.get_executor(), std::move(*transport), options);
  driver_->session().send_hello({{"role", "node"},
                                 {"software", std::string(build_version().version)},
                                 {"name", config_.name},
                                 {"instance", instance()},
                                 {"wall_ms", wall_now().time_since_epoch().count()}});
  driver_->start(*this);
  co_return true;
}

net::Task<> Session::run() {
  while (!stopping_) {
    const bool connected = co_await connect();
    if (connected) {
      while (driver_ && !stopping_) co_await ended_.wait();
    }
    if (stopping_) break;
    co_await net::sleep_for_real(backoff_.next());
  }
}

void Session::request(std::string_view verb, wire::Map args, Answer answer) {
  if (!driver_) return;
  const wire::RequestId id = driver_->session().request(verb, std::move(args));
  answers_[id] = std::move(answer);
  driver_->flush_soon();
}

// ---- what this node has, told once after HELLO

// What this node knows of the controller's history, for the day an older copy of it comes back.
// Not synced, and written once for many answers: an older note notices less, and nothing else.
void Session::saw(const wire::Map& answer) {
  if (!answer.contains("commits")) return;
  seen_["commits"] = wire::u64_or(answer, "commits", 0);
  if (answer.contains("run")) seen_["run"] = cut_text(wire::text_or(answer, "run"), kMostSeen);
  if (const wire::Map& audit = wire::child_or_empty(answer, "audit"); !audit.empty())
    seen_["audit"] = {{"seq", wire::u64_or(audit, "seq", 0)},
                      {"hash", cut_text(wire::text_or(audit, "hash"), kMostSeen)}};
  if (std::exchange(note_waits_, true)) return;
  note_.arm(kNoteAfter, [this] {
    note_waits_ = false;
    write_note();
  });
}

void Session::write_note() const {
  // By its name alone: a directory of root's may be passed by net, not read.
  const os::UniqueFd directory(::open(data_dir_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return;
  const std::string text = seen_.dump();
  if (os::replace_file_at(directory.get(), "seen", as_bytes(text), os::Sync::kNo)) return;
  // A directory of root's, in which only the note itself is ours (give_note). Torn by a crash it is
  // as good as none.
  if (auto note = os::create_file_at(directory.get(), "seen"))
    static_cast<void>(os::write_all(note->get(), as_bytes(text)));
}

void Session::reconcile() {
  if (seen_.is_null()) {
    const auto kept = read_file(data_dir_ + "/seen");
    seen_ = kept ? wire::Map::parse(*kept, nullptr, false) : wire::Map::object();
    if (!seen_.is_object()) seen_ = wire::Map::object();
  }
  told_.clear();
  std::vector<AttemptKey> left;
  for (const auto& job : book_->unreported()) left.push_back(job->key());
  std::ranges::reverse(left);
  reconcile_page(std::move(left));
}

void Session::reconcile_page(std::vector<AttemptKey> left) {
  wire::Map page = wire::Map::array();
  std::vector<std::pair<AttemptKey, JobBook::Known>> finals;
  std::size_t bytes = 0;
  while (!left.empty() && page.size() < kPageJobs && bytes < kPageBytes) {
    const auto job = book_->find(left.back());
    left.pop_back();
    if (!job) continue;
    told_[job->key()] = {job->started_ms(), job->held_why()};
    if (job->ended())
      finals.emplace_back(job->key(),
                          job->next_ms() == 0 ? JobBook::Known::kEnd : JobBook::Known::kRestart);
    wire::Map news = news_of(*job);
    bytes += wire::pack(news).size();
    page.push_back(std::move(news));
  }
  const bool last = left.empty();
  request("reconcile", {{"jobs", std::move(page)}, {"last", last}, {"seen", seen_}},
          [this, left = std::move(left), last, finals](const Result<wire::Map>& answer) mutable {
            if (!answer)
              return log_error("the controller refused what this node has",
                               {{"why", answer.error().message}});
            fail_point(FailPoint::kNetReconcileAnswered);
            if (wire::bool_or(*answer, "again", false)) return reconcile_all();
            for (const auto& [key, known] : finals) book_->acknowledged(key, known);
            saw(*answer);
            if (last)
              became_online();
            else
              reconcile_page(std::move(left));
          });
  fail_point(FailPoint::kNetReconcileSent);
}

// Its database is older than what it told us before: it is told everything there is.
void Session::reconcile_all() {
  log_warn("the controller's database is older than what this node saw of it",
           {{"next", "was a backup restored? all jobs are reported again"}});
  book_->tell_all([this, driver = std::weak_ptr(driver_)] {
    if (driver_ && driver.lock() == driver_) reconcile();
  });
}

void Session::became_online() {
  online_ = true;
  backoff_.reset();
  last_error_ = {};
  log_info("online", {{"node", config_.name}, {"cluster", config_.cluster}});
  schedule_renewal();
  rest_soon();
  report_changes();
  events_.on_online();
}

// What became of jobs while the controller was answering: started, ended or found since.
void Session::report_changes() {
  const auto told = std::exchange(told_, {});
  for (const auto& job : book_->unreported()) {
    const auto at = told.find(job->key());
    if ((job->ended() && !job->reported) || at == told.end() ||
        at->second != std::pair(job->started_ms(), job->held_why()))
      report(*job);
  }
}

// The controller could not take an outcome (its disk is full): it stays here until it can.
void Session::report_again_later() {
  outbox_.arm(kReportAgain, [this] {
    if (!online_) return;  // the next reconcile() tells all
    for (const auto& job : book_->unreported())
      if (job->ended() && !job->reported) report(*job);
  });
}

// A node that has had nothing to do for a while is small.
void Session::rest_soon() {
  rest_.arm(kRestAfter, [this] {
    if (!readers_.empty() || !starting_.empty()) return rest_soon();
    os::return_unused_memory();
  });
}

void Session::job_changed(const LocalJob& job) {
  if (online_) report(job);
}

void Session::job_ended(const LocalJob& job) {
  rest_soon();
  if (online_ && !job.reported) report(job);
}

// Several changes soon after one another are told at once.
void Session::schedules_changed() {
  if (!online_ || schedule_news_waits_ || schedule_news_open_) return;
  schedule_news_waits_ = true;
  schedule_news_.arm(kScheduleNews, [this] {
    schedule_news_waits_ = false;
    report_schedules();
  });
}

void Session::report_schedules() {
  if (!online_ || !schedules_->has_news()) return;
  schedule_news_open_ = true;
  // An older controller has no use for it.
  request("schedule.report", {{"schedules", schedules_->news()}}, [this](const Result<wire::Map>&) {
    schedule_news_open_ = false;
    if (schedules_->has_news()) schedules_changed();
  });
}

void Session::report(const LocalJob& job) {
  if (waits_for_report_.insert(job.key()).second) to_report_.push_back(job.key());
  send_reports();
}

void Session::send_reports() {
  while (!to_report_.empty() && reports_under_way_ < kReportsUnderWay) {
    const AttemptKey key = to_report_.front();
    to_report_.pop_front();
    waits_for_report_.erase(key);
    const auto job = book_->find(key);
    if (job && !(job->ended() && job->reported)) send_report(*job);
  }
}

void Session::send_report(const LocalJob& job) {
  ++reports_under_way_;
  request("job.report", news_of(job),
          [this, key = job.key(), is_final = job.ended(),
           known = job.next_ms() == 0 ? JobBook::Known::kEnd
                                      : JobBook::Known::kRestart](const Result<wire::Map>& answer) {
            --reports_under_way_;
            if (answer) {
              fail_point(FailPoint::kNetReportAnswered);
              if (is_final) book_->acknowledged(key, known);
              saw(*answer);
              return send_reports();
            }
            log_error("the controller did not take a report",
                      {{"job", key.job.text}, {"why", answer.error().message}});
            if (is_final && answer.error().code != Code::kUnknownJob) report_again_later();
            send_reports();
          });
  fail_point(FailPoint::kNetReportSent);
}

void Session::lost(const Error& error) {
  const bool was_online = std::exchange(online_, false);
  schedule_news_waits_ = schedule_news_open_ = false;
  schedule_news_.cancel();
  driver_.reset();
  answers_.clear();
  to_report_.clear();
  waits_for_report_.clear();
  reports_under_way_ = 0;
  if (schedules_ != nullptr) schedules_->lost_controller();
  starting_.clear();
  early_.clear();
  const auto readers = std::exchange(readers_, {});
  for (const auto& [stream, reader] : readers) {
    const auto job = reader->place();
    if (!job) continue;
    job->remove_reader(*reader, job::link::Gone::kUnknown);
    book_->release(job->key());
  }
  renewal_.cancel();
  if (was_online || error.message != last_error_.message)
    log_warn("the controller's session ended", {{"why", error.message}});
  last_error_ = error;
  if (error.code == Code::kRevoked || error.code == Code::kVersion) events_.on_fatal(error);
  ended_.notify();
}

// ---- certificate

void Session::schedule_renewal() {
  auto certificate = pki::parse_certificate(credentials_.certificate);
  if (!certificate) return;
  auto identity = pki::parse_identity(certificate->get());
  if (!identity) return;
  const WallTime due =
      pki::renew_at(*identity, std::uniform_real_distribution<double>(0, 1)(random_));
  renewal_.arm(std::max(Millis{1'000}, due - wall_now()), [this] { renew(); });
}

void Session::renew() {
  auto key = pki::Key::parse(credentials_.key);
  if (!key) return;
  auto csr = pki::make_csr(*key);
  if (!csr) return;
  request("renew", {{"csr", wire::bin(*csr)}}, [this](const Result<wire::Map>& answer) {
    net::Credentials renewed = credentials_;
    if (answer) renewed.certificate = wire::bin_or(*answer, "certificate");
    if (!answer || !pki::parse_certificate(renewed.certificate) ||
        !save_credentials(data_dir_, config_.node_id, renewed)) {
      log_warn("the certificate could not be renewed, trying again",
               {{"why", answer ? "unreadable or not writable" : answer.error().message}});
      return renewal_.arm(Millis{60'000}, [this] { renew(); });
    }
    credentials_ = std::move(renewed);
    auto tls = net::TlsContext::client(credentials_);
    if (tls) tls_ = std::move(*tls);
    log_info("certificate renewed", {});
    schedule_renewal();
  });
}

}  // namespace rexec::agent
