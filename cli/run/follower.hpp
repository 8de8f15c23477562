// The observer of a run: what is known of each job, what is said about it, and what it all comes
// to. It has no signals and no terminal; follow.cpp drives it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/run/death_notice.hpp"
#include "cli/run/escape.hpp"
#include "cli/run/follow.hpp"
#include "cli/run/leaving.hpp"
#include "cli/run/node_news.hpp"
#include "cli/run/notice_limit.hpp"
#include "cli/run/output.hpp"
#include "cli/run/restart_words.hpp"
#include "src/base/text.hpp"
#include "src/client/run.hpp"

namespace rexec::cli {

class Follower final : public client::Observer {
 public:
  // `context_name`: where the run is.
  Follower(asio::io_context& context, const FollowOptions& options, std::string context_name);

  // client::Observer
  void accepted(const std::string& run, const std::vector<client::JobInfo>& jobs) override;
  void started(std::size_t job) override {
    jobs_[job].waiting.clear();
    output_.started(job);
  }
  void output(std::size_t job, wire::Channel channel, ByteSpan bytes,
              std::optional<WallTime> written) override;
  void gap(std::size_t job, wire::Channel channel, std::uint64_t from, std::uint64_t to) override;
  void ended(std::size_t job, const wire::Map& record) override;
  void held(std::size_t job, const std::string& why) override;
  void waiting(std::size_t job, const std::string& why) override;
  void restarting(std::size_t job, const wire::Map& record, std::uint32_t attempt,
                  std::uint64_t at_ms) override {
    jobs_[job].is_in_pause = true;
    output_.state(job, "restarting", {{"attempt", attempt}, {"record", record}});
    notice(jobs_[job], about(jobs_[job]) + restart_words(record, attempt, at_ms));
  }
  void next_attempt(std::size_t job, std::uint32_t attempt) override {
    Job& one = jobs_[job];
    one.out = one.err = one.info.out = one.info.err = 0;
    one.info.attempt = attempt;
    one.is_in_pause = false;
  }
  void link(bool up, const std::string& why) override;
  void node_link(std::size_t job, bool up, const std::string& why) override;
  void lost(std::size_t job, const Error& error) override;
  std::size_t backlog() const { return output_.backlog(); }
  std::size_t backlog_of(std::size_t job) const override { return output_.backlog_of(job); }
  client::PassedOn passed_on(std::size_t job) const override { return output_.passed_on(job); }
  void typed(std::string& bytes) override;
  void input_failed(int error) override;
  void input_waits(const std::vector<std::size_t>& jobs) override {
    std::vector<std::string> nodes;
    for (const std::size_t job : jobs) nodes.push_back(jobs_[job].info.node);
    output_.say(waiting_input_words(nodes));
  }

  // The run it observes; from then on closed outputs are passed on to it.
  void set_run(client::Run* run) { run_ = run; }
  bool is_accepted() const { return !jobs_.empty(); }
  bool is_link_down() const { return link_down_; }
  Unfinished unfinished() const {
    Unfinished all;
    for (const Job& job : jobs_) {
      if (job.record) continue;
      (job.is_in_pause ? all.pause : job.waiting.empty() ? all.run : all.wait) = true;
    }
    return all;
  }
  Output& words() { return output_; }
  net::Notifier& changed() { return changed_; }
  DeathNotice& death_notice() { return death_notice_; }
  // The user leaves the jobs running.
  void leave();
  // The client ends before them.
  void end(Departure departure);

  // A full-screen program that is left, lost or ended by force has the terminal's other screen:
  // what is said there goes with it. Before finish(), and written out before it. What ended by
  // itself leaves the terminal as it would here.
  void leave_screen();
  // Says what is to be said about the end; the exit code.
  int finish(const client::RunResult& result);
  // True when Ctrl-C is what ended a job.
  bool ended_by_interrupt() const;
  std::vector<wire::Map> status() const;

 private:
  struct Job {
    client::JobInfo info;
    std::uint64_t out = 0;  // offset of the next byte
    std::uint64_t err = 0;
    std::optional<wire::Map> record;
    std::string waiting = {};  // what was said about it last
    bool is_in_pause = false;  // between two attempts
    int code = kExitLost;      // of the record
    NoticeLimit notices = {};
  };
  // Of what a node may tell again and again.
  void notice(Job& job, const std::string& text) {
    if (job.notices.admit(BootClock::now())) output_.say(text);
  }
  void tell_left_out(Job& job) {
    if (const std::uint64_t more = job.notices.take_left_out(); more > 0)
      output_.say(about(job) + std::to_string(more) + " more notices like these were left out");
  }
  void on_sink_change();
  void prepare_death_notice() {
    std::vector<std::string> jobs;
    for (const Job& job : jobs_)
      if (!job.record) jobs.push_back(job.info.job);
    death_notice_.prepare(jobs);
  }
  // Whether the nodes hear that the client ends: now, or from its child when a link is back.
  bool say_end() {
    bool is_cut_off = link_down_;
    for (std::size_t job = 0; job < jobs_.size(); ++job) is_cut_off |= node_news_.is_away(job);
    if (!is_cut_off) return true;
    prepare_death_notice();
    return death_notice_.hand_over() || !link_down_;
  }
  // It ran, but nothing of what was asked for is there.
  void refuse(std::size_t job, const Error& error) {
    end_without_record(job, {jobs_[job].info.node, jobs_[job].info.job, 0, 0}, error);
    output_.complain(error);
  }
  void end_without_record(std::size_t job, const FailedRun& run, const Error& error);
  void tell_end(const Job& job);
  void tell_unreachable(Job& job);
  Error of_node(Error error) const;
  void tell_how_to_come_back(const Job& job);
  void tell_leaving(const client::RunResult& result);
  bool is_unread() const;
  void print_detached(const std::string& run);
  void tell_unprinted(const std::vector<std::string>& ids, int error);
  // "node: " among several.
  std::string about(const Job& job) const {
    return jobs_.size() > 1 ? printable(job.info.node) + ": " : "";
  }
  int exit_code(const client::RunResult& result);
  int code_of_jobs() const;
  // After the last byte: jobs whose output was not written whole, and what is said about it.
  void judge_outputs();
  int output_failure() const {
    const int out = output_.failure(wire::Channel::kOut);
    return out != 0 ? out : output_.failure(wire::Channel::kErr);
  }

  const FollowOptions& options_;
  client::Run* run_ = nullptr;
  net::Notifier changed_;
  net::Timer link_news_;
  net::Timer notice_due_;
  DeathNotice death_notice_;
  NodeNews node_news_;
  Output output_;
  Escape escape_;
  std::vector<Job> jobs_;
  std::vector<std::size_t> order_;  // in which the jobs ended
  std::optional<Error> failure_;
  std::string run_id_;
  bool link_down_ = false;
  bool link_told_ = false;
  Departure departure_;
  LastWord last_word_ = LastWord::kNone;
  bool out_closed_ = false;
  bool err_closed_ = false;
  bool out_of_reach_ = false;  // a position that the user gave, or all output that is missing
  bool unprinted_ = false;     // the ids of detached jobs
  bool times_told_ = false;    // that a node does not say when its output was written
  bool input_failed_ = false;
  const bool is_typed_;     // stdin is a terminal
  const bool in_terminal_;  // and who only looks at the output, at any
};

}  // namespace rexec::cli
