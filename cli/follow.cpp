#include "cli/follow.hpp"

#include <unistd.h>

#include <csignal>

#include "cli/errors.hpp"
#include "cli/follower.hpp"
#include "cli/signals.hpp"
#include "cli/terminal.hpp"

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
        set_(context) {
    for (const int number :
         {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT}) {
      if (!is_ignored(number)) set_.add(number);
    }
    wait();
  }

  // True when the process shall die of SIGINT: the job did, or the user would not wait.
  bool dies_of_interrupt() const {
    return ladder_.was_pressed() && (went_ || follower_.ended_by_interrupt());
  }
  bool is_pressed() const { return ladder_.was_pressed(); }
  // Nobody waits any more, not even for what is still to be written.
  bool has_gone() const { return went_ || hung_up_; }

 private:
  void wait() {
    set_.async_wait([this](const asio::error_code& error, int number) {
      if (error) return;
      react(number);
      wait();
    });
  }

  void react(int number) {
    const bool is_about_size = number == SIGWINCH || number == SIGCONT;
    if (options_.reader_only && !is_about_size) {
      ladder_.press(BootClock::now());
      return number == SIGINT ? went() : go();
    }
    switch (number) {
      case SIGINT:
        return on_interrupt();
      case SIGQUIT:
        return follower_.leave();
      case SIGHUP:
        hung_up_ = true;
        return go();
      case SIGCONT:
        if (terminal_ != nullptr) terminal_->enter();
        return on_resize();
      case SIGWINCH:
        if (options_.terminal != Terminal::kRaw && follower_.is_accepted()) run_.signal(SIGWINCH);
        return on_resize();
      default:
        run_.signal(number);
        return go_unless_accepted();
    }
  }

  void on_interrupt() {
    switch (ladder_.press(BootClock::now())) {
      case Reaction::kInterrupt:
        run_.signal(SIGINT);
        if (follower_.is_link_down()) {
          follower_.words().say(
              "the link is down: Ctrl-C reaches the job when it is back; "
              "Ctrl-\\ leaves it running");
        }
        return go_unless_accepted();
      case Reaction::kStop:
        return run_.stop(options_.grace);
      case Reaction::kGo:
        return went();
    }
  }

  void go_unless_accepted() {
    if (follower_.is_accepted()) return;
    patience_.arm(kAcceptAfterInterrupt, [this] {
      if (!follower_.is_accepted()) went();
    });
  }

  void went() {
    went_ = true;
    go();
  }

  void go() {
    run_.abandon();
    follower_.changed().notify();
  }

  void on_resize() {
    if (options_.terminal != Terminal::kRaw) return;  // its job has no terminal
    if (const auto size = terminal_size()) run_.resize(size->rows, size->cols);
  }

  const FollowOptions& options_;
  client::Run& run_;
  Follower& follower_;
  RawTerminal* terminal_;
  net::Timer patience_;
  asio::signal_set set_;
  InterruptLadder ladder_;
  bool went_ = false;
  bool hung_up_ = false;
};

struct Ended {
  int code = kExitNotStarted;
  bool by_interrupt = false;
};

net::Task<> drive(client::Run& run, Follower& follower, SignalDesk& desk, Ended& ended,
                  asio::io_context& context) {
  const client::RunResult result = co_await run.run();
  follower.set_run(nullptr);
  const auto drained = [&] { return follower.backlog() == 0 || desk.has_gone(); };
  // Only outputs that have taken everything can say whether it was written.
  while (!drained()) co_await follower.changed().wait();
  follower.leave_screen();
  while (!drained()) co_await follower.changed().wait();
  RawTerminal::restore();
  follower.words().set_terminal(Terminal::kCooked);
  ended.code = follower.finish(result, desk.is_pressed() && desk.has_gone());
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
  Follower follower(context, options);
  client::RunPlan plan = options.plan;
  if (options.stamps == Stamps::kTime || options.globals.json_errors)
    plan.times = client::Times::kYes;
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
