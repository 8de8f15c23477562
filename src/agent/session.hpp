// The agent's session with its controller: dials, reconciles, reports, renews, and turns the
// controller's streams into starts and readers. One at a time; when it is lost the readers go, the
// jobs stay, and it dials again with jitter.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <unordered_map>

#include "src/agent/agent.hpp"
#include "src/agent/job_book.hpp"
#include "src/agent/schedules.hpp"
#include "src/net/dialler.hpp"
#include "src/net/session_driver.hpp"

namespace rexec::agent {

class Session final : public net::SessionHandler {
 public:
  struct Events {
    std::function<void()> on_online;
    std::function<void(const Error&)> on_fatal;  // revoked and the like: no second try can help
  };
  Session(asio::io_context& context, std::string data_dir, AgentConfig config, Events events);
  ~Session() override;

  // The book reports through these; set once before run().
  void use(JobBook& book) { book_ = &book; }
  void use(Schedules& schedules) { schedules_ = &schedules; }
  void job_changed(const LocalJob& job);  // it started, or is held, or goes on
  void job_ended(const LocalJob& job);
  void schedules_changed();
  // Dials and serves until stop(), which tells the controller why.
  net::Task<> run();
  void stop(const std::string& why);

  void on_event(wire::Event event) override;
  void on_written() override;

 private:
  struct Starting {
    job::link::Start start;
    std::string spec;
    std::size_t size = 0;
    std::uint64_t received = 0;
  };
  using Answer = std::function<void(const Result<wire::Map>&)>;

  net::Task<bool> connect();
  void request(std::string_view verb, wire::Map args, Answer answer);
  void reconcile();
  void reconcile_all();
  void saw(const wire::Map& answer);
  void write_note() const;
  // `left`: the jobs still to be told, the next one last.
  void reconcile_page(std::vector<AttemptKey> left);
  void became_online();
  void report_changes();
  void report_again_later();
  void report(const LocalJob& job);
  void send_reports();
  void send_report(const LocalJob& job);
  void report_schedules();
  void lost(const Error& error);
  void opened(wire::StreamId stream, const std::string& kind, const wire::Map& args);
  void open_start(wire::StreamId stream, const wire::Map& args);
  void tell_again(LocalJob& job);
  void open_attach(wire::StreamId stream, const wire::Map& args);
  void start_complete(wire::StreamId stream);
  void spec_data(wire::StreamId stream, ByteSpan bytes);
  void forget_start(const AttemptKey& key);
  void tell_output(wire::RequestId id, const AttemptKey& key);
  void answer_request(wire::RequestId id, const std::string& verb, const wire::Map& args);
  void client_ended(wire::RequestId id, const AttemptKey& key);
  void drop_reader(wire::StreamId stream, Code why);
  void prune_readers();
  void open_from(const AttemptKey& key, const AttemptKey& asked, std::uint32_t last,
                 const std::shared_ptr<Reader>& reader);
  void follow(const std::shared_ptr<Reader>& reader);
  void rest_soon();
  void schedule_renewal();
  void renew();

  asio::io_context& context_;
  std::string data_dir_;
  wire::Map seen_ = nullptr;  // of the controller's history: its run, commits, audit head
  AgentConfig config_;
  Events events_;
  JobBook* book_ = nullptr;
  Schedules* schedules_ = nullptr;
  std::optional<net::TlsContext> tls_;
  net::Credentials credentials_;
  std::shared_ptr<net::SessionDriver> driver_;
  net::Notifier ended_;
  net::Timer renewal_;
  net::Timer rest_;
  net::Timer outbox_;
  net::Timer schedule_news_;
  net::Timer note_;
  std::mt19937_64 random_;
  net::Backoff backoff_;
  std::unordered_map<wire::RequestId, Answer> answers_;
  std::unordered_map<wire::StreamId, Starting> starting_;
  std::unordered_map<wire::StreamId, std::shared_ptr<Reader>> readers_;
  struct Early {  // attached before their start was complete
    std::vector<std::shared_ptr<Reader>> readers;
    bool client_ended = false;
  };
  std::map<AttemptKey, Early> early_;
  // By the reconcile under way: when each started, and why it is held.
  std::map<AttemptKey, std::pair<std::uint64_t, std::string>> told_;
  // Jobs with news that wait for the answers to earlier ones; each goes as it is then.
  std::deque<AttemptKey> to_report_;
  std::set<AttemptKey> waits_for_report_;
  std::size_t reports_under_way_ = 0;
  Error last_error_;
  bool online_ = false;
  bool schedule_news_waits_ = false;
  bool schedule_news_open_ = false;  // not answered yet
  bool note_waits_ = false;
  bool stopping_ = false;
  bool pumping_ = false;
};

// {job, attempt} of a message.
Result<AttemptKey> attempt_key(const wire::Map& args);

}  // namespace rexec::agent
