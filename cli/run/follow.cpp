#include "cli/run/follow.hpp"

#include <unistd.h>

#include <csignal>
#include <set>

#include "cli/line/errors.hpp"
#include "cli/run/death_notice.hpp"
#include "cli/run/follower.hpp"
#include "cli/run/signals.hpp"
#include "cli/run/terminal.hpp"

namespace rexec::cli {
namespace {

// How long Ctrl-C waits for a submit that is under way to be accepted.
constexpr Millis kAcceptAfterInterrupt{500};

// nohup ignores HUP, and a shell the keys of what it starts in the background: so it stays.
bool is_ignored(int number) {
  struct sigaction action{};
  return ::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Signals of the user to the run. Lives as long as the reactor.
class SignalDesk {
 public:
  SignalDesk(asio::io_context& context, const FollowOptions& options, client::Run& run,
             Follower& follower, RawTerminal* terminal)
      : options_(options),
        run_(run),
        follower_(follower),
        terminal_(terminal),
        patience_(context.get_executor()),
        answer_(context.get_executor()),
        set_(context) {
    for (const int number :
         {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT}) {
      if (!is_ignored(number)) set_.add(number);
    }
    if (terminal_ != nullptr && terminal_->is_raw() && !is_ignored(SIGTSTP)) set_.add(SIGTSTP);
    // A run brings its size with it.
    if (options_.visit == Visit::kAttached) on_resize();
    wait();
  }

  // True when the process shall die of SIGINT: the job did, or the user would not wait.
  bool dies_of_interrupt() const {
    return is_interrupted_ && (went_ || follower_.ended_by_interrupt());
  }
  // Nobody waits any more, not even for what is still to be written.
  bool has_gone() const { return went_ || ended_; }

 private:
  void wait() {
    set_.async_wait([this](const asio::error_code& error, int number) {
      if (error) return;
      react(number);
      wait();
    });
  }

  void react(int number) {
    if (number == SIGWINCH || number == SIGCONT) return on_screen(number);
    if (number == SIGTSTP) return suspend();
    switch (const Deed deed = deed_of(number, options_.visit)) {
      case Deed::kLadder:
        is_interrupted_ = true;
        return on_interrupt();
      case Deed::kDie:
        is_interrupted_ = true;
        return went();
      case Deed::kLeave:
        return follower_.leave();
      case Deed::kEnd:
        return end_when_accepted(number);
      case Deed::kTerm:
      case Deed::kForward:
        send_on(number, deed);
        return end_unless_accepted(number);
    }
  }

  void on_interrupt() {
    const Reaction reaction = ladder_.press(BootClock::now());
    if (follower_.is_accepted() && !follower_.is_link_down()) tell(reaction);
    switch (reaction) {
      case Reaction::kInterrupt:
        send_on(SIGINT, Deed::kLadder);
        return end_unless_accepted(SIGINT);
      case Reaction::kStop:
        return run_.stop();
      case Reaction::kGo:
        return went();
    }
  }

  // Of each step once.
  void tell(Reaction reaction) {
    if (!told_.insert(reaction).second) return;
    follower_.words().say(interrupt_words(reaction, follower_.unfinished()));
  }

  void send_on(int number, Deed deed) {
    const BootTime now = BootClock::now();
    look_for_answer();
    unanswered_.sent(now, deed);
    sent_ = deed;
    run_.signal(number);
    run_.ping();
    look_for_answer();
    if (unanswered_.is_waiting())
      answer_.arm(Unanswered::kAnswerWithin + Millis{1}, [this] { look_for_answer(); });
  }

  // Of a job that was not accepted yet there is nothing to be heard.
  void look_for_answer() {
    if (!follower_.is_accepted()) return;
    switch (unanswered_.look(BootClock::now(), run_.last_heard(), follower_.is_link_down())) {
      case Unanswered::Verdict::kNothing:
        return;
      case Unanswered::Verdict::kTell:
        return follower_.words().say(unanswered_words(sent_, follower_.is_link_down()));
      case Unanswered::Verdict::kLeave:
        return end(SIGTERM);
    }
  }

  // Where nobody can know of the job there is nothing to wait for.
  void end_unless_accepted(int number) {
    if (follower_.is_accepted()) return;
    const auto leave = [this, number] { number == SIGINT ? went() : end(number); };
    if (!run_.has_reached()) return leave();
    patience_.arm(kAcceptAfterInterrupt, [this, leave] {
      if (!follower_.is_accepted()) leave();
    });
  }

  // A job that is accepted in a moment is to hear of the end.
  void end_when_accepted(int number) {
    if (follower_.is_accepted() || !run_.has_reached()) return end(number);
    patience_.arm(kAcceptAfterInterrupt, [this, number] { end(number); });
  }

  void went() {
    went_ = true;
    follower_.end({Leaving::kInterrupt});
  }

  void end(int number) {
    ended_ = true;
    follower_.end({Leaving::kSignal, number});
  }

  void on_screen(int number) {
    if (number == SIGCONT && terminal_ != nullptr) terminal_->enter();
    const bool is_own = options_.visit != Visit::kReader && !options_.job_terminal;
    if (number == SIGWINCH && is_own && follower_.is_accepted()) run_.signal(SIGWINCH);
    on_resize();
  }

  // Stops here as by default, with the terminal as the shell knows it. Where nobody could continue
  // the process the system does not stop it.
  void suspend() {
    RawTerminal::restore();
    set_.remove(SIGTSTP);
    ::raise(SIGTSTP);
    set_.add(SIGTSTP);
    on_screen(SIGCONT);
  }

  void on_resize() {
    if (!options_.job_terminal) return;
    if (const auto size = terminal_size()) run_.resize(size->rows, size->cols);
  }

  const FollowOptions& options_;
  client::Run& run_;
  Follower& follower_;
  RawTerminal* terminal_;
  net::Timer patience_;
  net::Timer answer_;
  asio::signal_set set_;
  InterruptLadder ladder_;
  std::set<Reaction> told_;
  Unanswered unanswered_;
  Deed sent_ = Deed::kForward;
  bool is_interrupted_ = false;
  bool went_ = false;
  bool ended_ = false;
};

struct Ended {
  int code = kExitNotStarted;
  bool by_interrupt = false;
};

net::Task<> drive(client::Run& run, Follower& follower, SignalDesk& desk, Ended& ended,
                  asio::io_context& context) {
  const client::RunResult result = co_await run.run();
  follower.death_notice().withdraw();
  follower.set_run(nullptr);
  const auto drained = [&] { return follower.backlog() == 0 || desk.has_gone(); };
  // Only outputs that have taken everything can say whether it was written.
  while (!drained()) co_await follower.changed().wait();
  follower.leave_screen();
  while (!drained()) co_await follower.changed().wait();
  RawTerminal::restore();
  follower.words().set_terminal(Terminal::kCooked);
  ended.code = follower.finish(result);
  while (!drained()) co_await follower.changed().wait();
  ended.by_interrupt = desk.dies_of_interrupt();
  context.stop();
}

// The code stays the command's own: 125 would say that it was never started.
void report_status(const FollowOptions& options, const std::vector<wire::Map>& records) {
  if (!options.status.wanted()) return;
  const Result<void> written = write_status(options.status, records);
  if (!written) {
    print_error(
        options.globals,
        {written.error().code, "the status was not written: " + written.error().message, {}});
  }
}

Ended run_to_end(const FollowOptions& options, client::Connector& connector) {
  // Before the reactor: what refers to it is destroyed first.
  asio::io_context context(1);
  std::optional<RawTerminal> terminal;
  Ended ended;
  Follower follower(context, options, connector.context().name);
  client::RunPlan plan = options.plan;
  if (options.stamps == Stamps::kTime || options.globals.json_errors)
    plan.times = client::Times::kYes;
  plan.owns = options.visit == Visit::kOwner;
  client::Run run(context, connector, std::move(plan), follower);
  if (options.terminal == Terminal::kRaw) {
    terminal.emplace();
    if (terminal->is_raw()) follower.words().set_terminal(Terminal::kRaw);
  }
  SignalDesk desk(context, options, run, follower, terminal ? &*terminal : nullptr);
  follower.set_run(&run);
  net::spawn(context.get_executor(), drive(run, follower, desk, ended, context));
  context.run();
  terminal.reset();
  report_status(options, follower.status());
  return ended;
}

}  // namespace

int fail_run(const FollowOptions& options, const Error& error) {
  print_error(options.globals, error);
  const FailedRun failed{options.plan.targets, {}, 0, 0};
  report_status(options, {status_of_failure(failed, error)});
  return exit_of_failure(error.code);
}

int follow(const FollowOptions& options) {
  Result<client::Connector> connector = client::Connector::load(
      {options.globals.config, options.globals.context, options.connect_timeout});
  if (!connector) return fail_run(options, connector.error());
  const Ended ended = run_to_end(options, *connector);
  if (ended.by_interrupt) die_of(SIGINT);
  return ended.code;
}

}  // namespace rexec::cli
