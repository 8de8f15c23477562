// Inside of run.hpp: the state of a run, shared by run.cpp (the session's life: connect, hold, come
// back) and run_jobs.cpp (submit, attach, what breaks and is tried again). Nobody else includes it.
#pragma once

#include <map>

#include "src/client/absence.hpp"
#include "src/client/attachment.hpp"
#include "src/client/run.hpp"
#include "src/client/stdin_wait.hpp"

namespace rexec::client {

// Errors that no second try can mend.
bool is_final(Code code);
// What is said of a job that was waited for as long as --reconnect says.
Error away_too_long(const JobInfo& job, const std::string& why);

class Run::Impl {
 public:
  Impl(asio::io_context& context, Connector& connector, RunPlan plan, Observer& observer);
  ~Impl();
  net::Task<RunResult> run();
  void broadcast(const wire::Map& map);
  void leave();
  void abandon() {
    gone_ = true;
    wake();
  }
  bool has_reached() const { return ever_connected_; }
  void ping();
  BootTime last_heard() const;
  void drained() {
    for (auto& job : jobs_) job->grant();
    if (done()) news_.notify();
  }

 private:
  // The stream of the submit itself: spec up, one answer down.
  class Submit final : public StreamHandler {
   public:
    explicit Submit(Impl& owner) : owner_(owner) {}
    void on_data(wire::Channel, ByteSpan) override {}
    void on_event(const wire::Map& map) override { owner_.on_accepted(map); }
    void on_end() override {
      if (owner_.remote_.alive()) owner_.remote_.forget(stream);
    }
    void on_reset(const Error& error) override {
      forget();
      if (error.code != Code::kLinkLost && is_final(error.code))
        owner_.give_up(error);
      else if (error.code != Code::kLinkLost)
        owner_.refused_for_now(error);
    }
    void on_credit(std::uint64_t) override { pump(); }
    void begin();
    void pump();
    // Nothing is sent before the next begin().
    void forget() { stream = 0; }
    bool under_way() const { return stream != 0; }
    bool was_repeated() const { return begun_ > 1; }
    wire::StreamId stream = 0;

   private:
    Impl& owner_;
    unsigned begun_ = 0;
    std::size_t sent_ = 0;
    bool ended_ = false;
  };

  // A dial under way beside the run: whoever leaves does not wait for the end of it, so it may
  // outlive the run.
  struct Dialling {
    Impl* owner;
    std::optional<Result<std::unique_ptr<net::Transport>>> transport;
  };
  static net::Task<> dial_beside(Connector& connector, net::Patience patience, Millis most,
                                 std::shared_ptr<Dialling> into);

  // An attach stream whose job is not known yet: OPEN is a control frame and overtakes the answer
  // to the submit. Its own frames come after that answer; only a RESET may be earlier.
  struct Early final : public StreamHandler {
    void on_data(wire::Channel, ByteSpan) override {}
    void on_event(const wire::Map&) override {}
    void on_end() override {}
    void on_reset(const Error& error) override { broken = error; }
    wire::StreamId stream = 0;
    std::string job;
    std::optional<Error> broken;
  };

  // The node of one of several jobs is away: why, and when its job is attached again.
  struct NodeAway {
    NodeAway(const net::Executor& executor, std::uint64_t seed) : retry(executor), backoff(seed) {}
    Error why;
    net::Timer retry;
    net::Backoff backoff;
  };

  void add_job(const JobInfo& info);
  void share_window();
  void bind_early();
  void on_accepted(const wire::Map& map);
  StreamHandler* take_stream(wire::StreamId stream, const std::string& kind, const wire::Map& args);
  void lost_session(const Error& error);
  void on_broken(Attachment& job, const Error& error);
  void on_away(Attachment& job, const Error& error);
  void begin_count(const Error& error);
  bool is_alone() const { return jobs_.size() == 1; }
  void node_left(Attachment& job, const Error& error);
  void job_is_back(Attachment& job);
  void lose_overdue();
  void on_finished(Attachment& job);
  void attach_again(Attachment& job);
  void attach_forgotten();
  void attach_missing();
  void schedule_retry();
  void wake();
  void take_input();
  void pump_all();
  void release_stdin();
  void watch_stdin();
  void give_up(const Error& error) {
    if (!failure_) failure_ = error;
    news_.notify();
  }
  void refused_for_now(const Error& error);
  bool done() const;
  bool late() const;
  net::Task<Result<std::unique_ptr<net::Transport>>> dial(net::Patience patience, Millis most);
  net::Task<bool> connect();
  net::Task<> hold_session();
  net::Task<> pause();
  net::Task<> tell_what_was_read();
  Millis patience_left() const;
  void link_is_back();
  void link_is_down();
  RunResult result();

  net::Executor executor_;
  Connector& connector_;
  RunPlan plan_;
  Observer& observer_;
  net::Notifier news_;
  std::unique_ptr<Source> source_;
  StdinWait stdin_wait_;
  net::Timer stdin_look_;
  std::vector<std::unique_ptr<Attachment>> jobs_;
  std::map<std::string, Attachment*> by_id_;
  Remote remote_;
  Submit submit_;
  Absences absences_;  // the link's until something has come of a new session
  std::map<std::size_t, NodeAway> away_;
  net::Timer retry_;
  net::Backoff backoff_;
  std::vector<wire::Map> early_;  // signals from before the jobs were known
  std::vector<std::unique_ptr<Early>> early_streams_;
  std::optional<Error> failure_;
  Error last_error_;
  bool broke_before_ = false;
  wire::Map answer_ = wire::Map::array();  // the jobs of a submit as far as they have come
  bool accepted_ = false;
  bool ever_connected_ = false;  // a controller has taken a connection, and perhaps the submit
  bool told_down_ = false;
  bool resubmit_ = false;
  bool left_ = false;
  bool gone_ = false;
  bool input_failed_ = false;
  bool greeting_ = false;  // the session is new, and its first answers are waited for
  std::shared_ptr<Dialling> dialling_;
};

}  // namespace rexec::client
