// Where the bytes and the words of a run go: raw for one node, prefixed lines for several, JSON
// lines with -o jsonl; rexec's own words to stderr. It never blocks (client::Sink) and says how
// much it still holds, so that the run stops asking for more. It knows no session and no exit code.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/line/verbs.hpp"
#include "cli/run/events.hpp"
#include "cli/run/follow.hpp"
#include "cli/run/line_share.hpp"
#include "cli/run/screen.hpp"
#include "src/client/run.hpp"
#include "src/client/sink.hpp"

namespace rexec::cli {

struct OutputOptions {
  Globals globals;
  Prefix prefix = Prefix::kAuto;
  Stamps stamps = Stamps::kNone;
};

class Output {
 public:
  // `on_change`: fewer bytes are held, or a sink was closed.
  Output(const net::Executor& executor, OutputOptions options, std::function<void()> on_change);

  // Which jobs there will be; decides how they are shown.
  void begin(const std::vector<client::JobInfo>& jobs);
  void set_terminal(Terminal terminal) { terminal_ = terminal; }

  void started(std::size_t job);
  // `written`: when the job wrote them; what is not known counts as now.
  void bytes(std::size_t job, wire::Channel channel, ByteSpan bytes,
             std::optional<WallTime> written);
  // For -o jsonl only: the other styles say() what matters.
  void state(std::size_t job, const std::string& state, wire::Map more = wire::Map::object());
  void ended(std::size_t job, const wire::Map& record);
  void summary(wire::Map more);
  // Takes back what a job that was not asked to end has changed of the terminal.
  void restore_screen();

  // "rexec: text", a line of its own; not with --quiet or as JSON.
  void say(std::string_view text);
  // The same, with --quiet too: why a run of several fails. JSON lines say it themselves.
  void insist(std::string_view text);
  // The same, always: errors.
  void complain(const Error& error);

  std::size_t backlog() const;
  // Of one job: what waits for another's long line is its own.
  std::size_t backlog_of(std::size_t job) const;
  client::PassedOn passed_on(std::size_t job) const;
  // Nobody waits for the end of a line any more: the run is over.
  void break_long_lines();
  bool is_closed(wire::Channel channel) const;
  // stdout and stderr are the same file.
  static bool is_one_file();
  // Why an output was closed, when it is not that nobody reads or that it never was open: errno,
  // or 0.
  int failure(wire::Channel channel) const;
  // Where bytes of that channel of a job go.
  wire::Channel way_of(wire::Channel channel) const {
    return by_events_ ? wire::Channel::kOut : channel;
  }

 private:
  // Where lines go that must not tear each other: stdout, stderr, or both when they are one file.
  struct Place {
    Place(const net::Executor& executor, LineShare::Write write)
        : lines(std::move(write)), patience(executor) {}
    LineShare lines;
    net::Timer patience;
    std::uint64_t armed_for = 0;  // LineShare::holds() of the line that others wait for
  };
  static std::size_t stream_of(std::size_t job, wire::Channel channel) {
    return 2 * job + (channel == wire::Channel::kErr ? 1 : 0);
  }
  Place& place_of(wire::Channel channel) {
    return channel == wire::Channel::kErr ? *places_.back() : *places_.front();
  }
  void open_places();
  template <class Change>
  void on_lines(Place& place, Change change);
  void wait_for_line(Place& place);
  void put_out(std::string_view text);
  void put_err(std::string_view text);
  void put_line(std::string_view text);
  std::string prefix_of(const std::string& node, std::size_t index, std::size_t width) const;

  OutputOptions options_;
  client::Sink out_;
  client::Sink err_;
  net::Executor executor_;
  std::function<void()> on_change_;
  std::vector<std::unique_ptr<JobEvents>> events_;  // of each job, with -o jsonl
  std::vector<std::unique_ptr<Place>> places_;      // one or two, when it goes line by line
  bool by_lines_ = false;
  bool by_events_ = false;
  bool out_is_terminal_;
  bool err_is_terminal_;
  Screen screen_;  // what all that was written has made of the terminal
  Terminal terminal_ = Terminal::kCooked;
};

}  // namespace rexec::cli
