#include "cli/run/follower.hpp"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "cli/line/cache.hpp"
#include "cli/line/errors.hpp"
#include "cli/run/detached.hpp"
#include "cli/run/end_words.hpp"
#include "cli/run/job_lookup.hpp"
#include "cli/run/terminal.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

// A controller that restarts is back by then, and nothing is said.
constexpr Millis kLinkNewsAfter{2'000};
constexpr char kInterruptKey = '\x03';

bool is_definite(Code code) {
  return code != Code::kControllerDown && code != Code::kNodeOffline && code != Code::kTimeout &&
         code != Code::kIo;
}

}  // namespace

// A refusal may come on the job's stream, before its record; one of a part names it.
Error Follower::of_node(Error error) const {
  if (!options_.plan.dag.empty() && error.message.starts_with('['))
    error.message = printable(options_.plan.targets) + ": " + error.message;
  if (error.code != Code::kRefusedByNode || jobs_.size() != 1) return error;
  const std::string node = printable(jobs_[0].info.node);
  error.message = node + ": " + error.message;
  if (error.hint.empty()) error.hint = next_step(error.code, node, options_.not_found);
  return error;
}

Follower::Follower(asio::io_context& context, const FollowOptions& options,
                   std::string context_name)
    : options_(options),
      changed_(context.get_executor()),
      link_news_(context.get_executor()),
      notice_due_(context.get_executor()),
      death_notice_(options, std::move(context_name)),
      node_news_(context.get_executor()),
      output_(context.get_executor(), {options.globals, options.prefix, options.stamps},
              [this] { on_sink_change(); }),
      is_typed_(::isatty(STDIN_FILENO) == 1),
      in_terminal_(has_terminal(options.plan.stdin_fd >= 0)) {
  for (const auto& job : options.plan.jobs) jobs_.push_back({job, job.out, job.err, {}, {}});
  if (!jobs_.empty()) output_.begin(options.plan.jobs);
}

void Follower::on_sink_change() {
  if (run_ != nullptr && options_.visit != Visit::kOwner) {
    is_unread() ? end({Leaving::kUnread}) : run_->drained();
  } else if (run_ != nullptr) {
    const bool out = output_.is_closed(wire::Channel::kOut);
    const bool err = output_.is_closed(wire::Channel::kErr);
    if (out && !std::exchange(out_closed_, true)) run_->close_output(wire::Channel::kOut);
    if (err && !std::exchange(err_closed_, true)) run_->close_output(wire::Channel::kErr);
    run_->drained();
  }
  changed_.notify();
}

// What a visitor reads is its stdout, and stderr where both are one file.
bool Follower::is_unread() const {
  const bool is_err_closed = output_.is_closed(wire::Channel::kErr);
  return output_.is_closed(wire::Channel::kOut) || (is_err_closed && output_.is_one_file());
}

void Follower::accepted(const std::string& run, const std::vector<client::JobInfo>& jobs) {
  run_id_ = run;
  for (const auto& job : jobs) jobs_.push_back({job, job.out, job.err, {}, {}});
  if (options_.plan.mode == "detached") return print_detached(run);
  output_.begin(jobs);
  notice_due_.arm(DeathNotice::kAfter, [this] { prepare_death_notice(); });
  if (!options_.globals.verbose) return;
  for (const auto& job : jobs)
    output_.say("job " + printable(job.job) + " on " + printable(job.node));
}

void Follower::print_detached(const std::string& run) {
  std::vector<client::JobInfo> infos;
  for (const Job& job : jobs_) infos.push_back(job.info);
  const Detached shown = show_detached(infos, run, options_.globals.format);
  for (const std::string& note : shown.notes) output_.say(note);
  if (const int error = write_out(shown.text); error != 0) tell_unprinted(shown.names, error);
  remember_more(options_.globals, Remembered::kJobs, shown.names);
}

// Where nobody learns the id, the job is as good as lost; but it was accepted, so no 125.
void Follower::tell_unprinted(const std::vector<std::string>& ids, int error) {
  unprinted_ = true;
  output_.complain(unprinted_words(ids, error));
}

void Follower::output(std::size_t job, wire::Channel channel, ByteSpan bytes,
                      std::optional<WallTime> written) {
  Job& from = jobs_[job];
  (channel == wire::Channel::kErr ? from.err : from.out) += bytes.size();
  if (options_.stamps == Stamps::kTime && !written && !std::exchange(times_told_, true))
    output_.say(printable(from.info.node) +
                " does not say when its lines were written, an older rexec runs there: the times "
                "are those of reading them");
  output_.bytes(job, channel, bytes, written);
}

void Follower::gap(std::size_t job, wire::Channel channel, std::uint64_t from, std::uint64_t to) {
  Job& holed = jobs_[job];
  const bool is_err = channel == wire::Channel::kErr;
  const std::string side = is_err ? "stderr" : "stdout";
  (is_err ? holed.err : holed.out) = to;
  output_.state(job, "gap", {{"channel", is_err ? "err" : "out"}, {"from", from}, {"to", to}});
  notice(holed, about(holed) + "bytes " + std::to_string(from) + " to " + std::to_string(to) +
                    " of " + side + " are gone: the node no longer keeps them");
}

void Follower::ended(std::size_t job, const wire::Map& record) {
  Job& done = jobs_[job];
  node_news_.came(job);
  if (const auto beyond = beyond_end(done.info, record)) return refuse(job, *beyond);
  done.record = whole_record(record);
  if (input_failed_ && wire::text_or(record, "outcome") == "stopped")
    (*done.record)["reason"] = "input_not_read";
  output_.ended(job, *done.record);
  int code = exit_of_record(record);
  // Nobody read it any more: then what is missing is not missed.
  const bool closed_here = out_closed_ || err_closed_;
  if (code == kExitIncomplete && closed_here) code = exit_of_command(record);
  done.code = code;
  order_.push_back(job);
  tell_unreachable(done);
  if (!options_.quiet_end) tell_end(done);
}

// Nothing was read, and not because there was nothing: how the job ended is known all the same.
void Follower::tell_unreachable(Job& job) {
  const std::string why = wire::text_or(*job.record, "unreachable");
  if (why.empty()) return;
  const bool is_lost = wire::text_or(*job.record, "outcome") == "lost";
  if (options_.quiet_end || !is_lost) job.code = kExitIncomplete;
  out_of_reach_ = true;
  Error error = unreachable_words(*job.record, job.info.node, job.info.job, wall_now());
  error.message = about(job) + error.message;
  output_.complain(error);
}

void Follower::end_without_record(std::size_t job, const FailedRun& run, const Error& error) {
  Job& done = jobs_[job];
  done.record = status_of_failure(run, error);
  done.code = exit_of_record(*done.record);
  order_.push_back(job);
  out_of_reach_ = true;
  output_.ended(job, *done.record);
}

// One of several; the others are followed to their end.
void Follower::lost(std::size_t job, const Error& error) {
  const Job& gone = jobs_[job];
  node_news_.came(job);
  end_without_record(job, {gone.info.node, gone.info.job, gone.out, gone.err}, error);
  output_.complain({error.code, about(gone) + error.message, error.hint});
  if (options_.visit != Visit::kReader) tell_how_to_come_back(gone);
}

void Follower::tell_end(const Job& job) {
  const EndWords words = end_words({job.info.node, about(job), options_.workdir, options_.not_found,
                                    !out_closed_ && !err_closed_},
                                   *job.record);
  if (words.failure) output_.complain(*words.failure);
  if (!words.ending.empty())
    jobs_.size() > 1 ? output_.insist(words.ending) : output_.say(words.ending);
  for (const std::string& remark : words.remarks) output_.say(remark);
}

void Follower::held(std::size_t job, const std::string& why) {
  Job& of = jobs_[job];
  const std::string node = printable(of.info.node);
  if (why == "unread")
    return notice(of, "the job waits: its quota is full and nobody reads its output; go on: " +
                          ("rexec attach " + printable(of.info.job)));
  notice(of, why.empty() ? node + " keeps output again, the job goes on"
                         : "the job waits: " + node + " cannot keep its output (" + printable(why) +
                               "); it goes on when there is room");
}

// Once for each reason: a person wonders why nothing happens, a script's log need not.
void Follower::waiting(std::size_t job, const std::string& why) {
  Job& waiter = jobs_[job];
  if (why == std::exchange(waiter.waiting, why)) return;
  output_.state(job, why.empty() ? "dispatched" : "waiting", {{"why", why}});
  if (!why.empty()) output_.say(about(waiter) + "waiting: " + printable(why));
}

void Follower::link(bool up, const std::string& why) {
  link_down_ = !up;
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (!jobs_[i].record && !node_news_.is_away(i))
      output_.state(i, up ? "connected" : "reconnecting");
  }
  if (up) {
    link_news_.cancel();
    if (std::exchange(link_told_, false)) output_.say("the link is back");
    return;
  }
  link_news_.arm(kLinkNewsAfter, [this, why] {
    link_told_ = true;
    const bool goes_on =
        std::ranges::any_of(jobs_, [](const Job& job) { return !job.record && !job.info.ended; });
    output_.say(lost_link_words(why, goes_on));
  });
}

void Follower::node_link(std::size_t job, bool up, const std::string& why) {
  output_.state(job, up ? "connected" : "reconnecting");
  const auto tell = [this, of = about(jobs_[job])](const std::string& it) { output_.say(of + it); };
  if (!up)
    node_news_.left(job, kLinkNewsAfter, [tell, why] { tell(lost_link_words(why, true)); });
  else if (node_news_.came(job))
    tell("the link is back");
}

void Follower::typed(std::string& bytes) {
  if (options_.terminal != Terminal::kRaw) return;
  const Escape::Wish wish = escape_.feed(bytes);
  if (wish == Escape::Wish::kLeave && departure_.how == Leaving::kNot) leave();
  // As the key would, had the terminal made a signal of it: to the whole job of the shell.
  if (wish == Escape::Wish::kSuspend) ::kill(0, SIGTSTP);
  const auto waits = [](const Job& job) { return !job.waiting.empty() && !job.record; };
  if (!std::ranges::any_of(jobs_, waits)) return;
  // A raw terminal makes no signal of Ctrl-C, and there is no job yet that could read it.
  const auto key = bytes.find(kInterruptKey);
  if (key == std::string::npos) return;
  bytes.erase(key);
  ::raise(SIGINT);
}

// What the job has got is not all of its input, and must not look like it.
void Follower::input_failed(int error) {
  // The window is gone, and its HUP may be ignored or on its way.
  if (is_typed_ && error == EIO) return end({Leaving::kSignal, SIGHUP});
  input_failed_ = true;
  const bool is_own = options_.visit == Visit::kOwner;
  output_.complain(unread_input(error, is_own));
  if (!is_own) return end({Leaving::kInput});
  if (run_ != nullptr) run_->stop();
}

void Follower::leave() {
  if (departure_.how == Leaving::kNot) departure_.how = Leaving::kChosen;
  death_notice_.withdraw();
  if (!link_down_) last_word_ = LastWord::kLeave;
  if (run_ != nullptr) run_->leave();
}

void Follower::end(Departure departure) {
  if (departure_.how == Leaving::kNot) departure_ = departure;
  const bool ends = options_.ends_with_client() && ends_job(departure_, in_terminal_);
  if (ends && say_end()) last_word_ = LastWord::kEnded;
  if (!ends) death_notice_.withdraw();
  if (run_ != nullptr) ends ? run_->end() : run_->abandon();
  changed_.notify();
}

void Follower::tell_how_to_come_back(const Job& job) {
  const std::string how =
      way_back({job.info.job, job.out, job.err, options_.terminal == Terminal::kRaw});
  output_.say(about(job) +
              what_becomes_of_it({options_.on_disconnect, how, last_word_, job.info.ended}));
}

void Follower::tell_leaving(const client::RunResult& result) {
  failure_ = why_left(departure_, {result.reached, is_accepted()});
  // A Ctrl-C that came before anything was sent has done what it should: no words, as locally.
  const bool is_quiet = departure_.how == Leaving::kInterrupt && !result.reached;
  if (!is_accepted() && !is_quiet) output_.complain(*failure_);
}

int Follower::exit_code(const client::RunResult& result) {
  if (input_failed_) return 1;
  if (options_.plan.mode == "detached" && is_accepted() && !result.error) return unprinted_ ? 1 : 0;
  if (options_.quiet_end && result.error) return exit_of_error(result.error->code);
  const bool is_cut = departure_.how == Leaving::kSignal && order_.size() < jobs_.size();
  if (options_.quiet_end && !out_of_reach_) return is_cut ? kExitLost : 0;
  return code_of_jobs();
}

int Follower::code_of_jobs() const {
  std::vector<int> codes;
  for (const std::size_t job : order_) codes.push_back(jobs_[job].code);
  const std::size_t missing = jobs_.size() - std::min(jobs_.size(), codes.size());
  const int code_of_missing = failure_ ? exit_of_failure(failure_->code) : kExitLost;
  const bool has_left = departure_.how != Leaving::kNot;
  if (jobs_.empty() || (has_left && missing > 0)) return code_of_missing;
  codes.insert(codes.end(), missing, code_of_missing);
  return exit_of_several(codes, options_.rule);
}

void Follower::judge_outputs() {
  const int error = output_failure();
  if (error == 0) return;
  output_.say(std::string("the output could not be written: ") + std::strerror(error));
  const auto is_lost = [this](std::uint64_t bytes, wire::Channel channel) {
    return bytes > 0 && output_.failure(output_.way_of(channel)) != 0;
  };
  for (Job& job : jobs_) {
    const bool out = is_lost(job.out - job.info.out, wire::Channel::kOut);
    const bool err = is_lost(job.err - job.info.err, wire::Channel::kErr);
    if (!job.record || !(out || err)) continue;
    (*job.record)["complete"] = false;
    if (wire::text_or(*job.record, "reason").empty()) {
      (*job.record)["reason"] = "output_not_written";
    }
    job.code = exit_of_record(*job.record);
  }
}

void Follower::leave_screen() {
  const auto by_itself = [](const Job& job) {
    return job.record && wire::text_or(*job.record, "outcome") == "exited";
  };
  if (!std::ranges::all_of(jobs_, by_itself)) output_.restore_screen();
}

int Follower::finish(const client::RunResult& result) {
  link_news_.cancel();
  node_news_.cancel();
  std::ranges::for_each(jobs_, [this](Job& job) { tell_left_out(job); });
  output_.break_long_lines();
  const bool some_missing = order_.size() < jobs_.size() && options_.plan.mode != "detached";
  if (result.error) {
    failure_ = result.error;
    // A definite refusal keeps its code; where nobody answered any more, the job may run.
    if (result.lost && !is_definite(failure_->code)) failure_->code = Code::kLinkLost;
    if (some_missing || jobs_.empty()) output_.complain(of_node(*failure_));
  } else if (result.lost) {
    tell_leaving(result);
  }
  const bool is_refused =
      result.error && is_definite(failure_->code) && failure_->code != Code::kLinkLost;
  judge_outputs();
  // Who closed the pipe, or pressed Ctrl-C three times, knows; a script's log need not.
  const bool is_known = departure_.how == Leaving::kInterrupt ||
                        (departure_.how == Leaving::kUnread && output_failure() == 0);
  const bool may_go_on =
      result.lost && !is_known && options_.visit != Visit::kReader && !is_refused;
  for (const Job& job : jobs_)
    if (some_missing && may_go_on && !job.record) tell_how_to_come_back(job);
  int code = exit_code(result);
  if (code == 0 && output_failure() != 0) code = kExitIncomplete;
  const auto succeeded = [this](std::size_t job) { return jobs_[job].code == 0; };
  // Of logs that are read without waiting the jobs' code, not that of the reading.
  wire::Map told = options_.quiet_end ? wire::Map(code_of_jobs()) : wire::Map(code);
  if (options_.quiet_end && some_missing) told = nullptr;
  output_.summary({{"run", run_id_},
                   {"nodes", jobs_.size()},
                   {"code", std::move(told)},
                   {"ok", std::count_if(order_.begin(), order_.end(), succeeded)}});
  return code;
}

bool Follower::ended_by_interrupt() const {
  return std::any_of(jobs_.begin(), jobs_.end(), [](const Job& job) {
    if (!job.record) return false;
    const std::string outcome = wire::text_or(*job.record, "outcome");
    return outcome == "stopped" ||
           (outcome == "signaled" && wire::u64_or(*job.record, "signal", 0) == SIGINT);
  });
}

std::vector<wire::Map> Follower::status() const {
  std::vector<wire::Map> records;
  const Error unknown{Code::kLinkLost, "disconnected", {}};
  for (const Job& job : jobs_) {
    if (job.record) {
      records.push_back(*job.record);
    } else if (options_.plan.mode == "detached" && !failure_) {
      records.push_back(status_of_accepted(job.info.node, job.info.job, job.info.refused));
    } else {
      records.push_back(status_of_failure({job.info.node, job.info.job, job.out, job.err},
                                          failure_.value_or(unknown)));
    }
  }
  if (jobs_.empty()) {
    records.push_back(
        status_of_failure({options_.plan.targets, {}, 0, 0}, failure_.value_or(unknown)));
  }
  return records;
}

}  // namespace rexec::cli
