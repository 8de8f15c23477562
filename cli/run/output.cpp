#include "cli/run/output.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

// Six colours that are readable on dark and light backgrounds.
constexpr const char* kColors[] = {"\x1b[36m", "\x1b[33m", "\x1b[32m",
                                   "\x1b[35m", "\x1b[34m", "\x1b[31m"};

// How long the others wait for the end of a long line that does not come.
constexpr Millis kLinePatience{2'000};

const char* channel_name(wire::Channel channel) {
  return channel == wire::Channel::kErr ? "err" : "out";
}

}  // namespace

Output::Output(const net::Executor& executor, OutputOptions options,
               std::function<void()> on_change)
    : options_(std::move(options)),
      out_(executor, STDOUT_FILENO, on_change),
      err_(executor, STDERR_FILENO, on_change),
      executor_(executor),
      on_change_(std::move(on_change)),
      out_is_terminal_(::isatty(STDOUT_FILENO) == 1),
      err_is_terminal_(::isatty(STDERR_FILENO) == 1) {}

std::string Output::prefix_of(const std::string& node, std::size_t index, std::size_t width) const {
  if (options_.prefix == Prefix::kNever) return {};
  const std::string name = printable(node);
  if (!out_is_terminal_) return name + ": ";
  const std::string padded = name + std::string(width - std::min(width, name.size()), ' ');
  if (!wants_color(options_.globals, STDOUT_FILENO)) return padded + " │ ";
  return kColors[index % std::size(kColors)] + padded + " │\x1b[0m ";
}

void Output::open_places() {
  const auto write = [this](std::size_t stream, std::string_view text) {
    const bool is_err = stream == LineShare::kWords || stream % 2 == 1;
    is_err ? put_err(text) : put_out(text);
  };
  for (int i = 0; i < (is_one_file() ? 1 : 2); ++i)
    places_.push_back(std::make_unique<Place>(executor_, write));
}

bool Output::is_one_file() {
  struct stat out{}, err{};
  const bool known = ::fstat(STDOUT_FILENO, &out) == 0 && ::fstat(STDERR_FILENO, &err) == 0;
  return known && out.st_dev == err.st_dev && out.st_ino == err.st_ino;
}

void Output::begin(const std::vector<client::JobInfo>& jobs) {
  by_events_ = options_.globals.json_errors;  // --json too: a run has no other JSON
  by_lines_ = !by_events_ && (jobs.size() > 1 || options_.stamps == Stamps::kTime);
  if (by_lines_) open_places();
  std::size_t width = 0;
  for (const auto& job : jobs) width = std::max(width, printable(job.node).size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (by_events_) events_.push_back(std::make_unique<JobEvents>(jobs[i].node, jobs[i].job));
    const std::string prefix = jobs.size() > 1 ? prefix_of(jobs[i].node, i, width) : "";
    for (const auto& place : places_)
      for (int channel = 0; channel < 2; ++channel) place->lines.add(prefix);
  }
}

void Output::put_out(std::string_view text) {
  if (out_is_terminal_) screen_.feed(text);
  out_.write(as_bytes(text));
}

void Output::put_err(std::string_view text) {
  if (err_is_terminal_) screen_.feed(text);
  err_.write(as_bytes(text));
}

void Output::started(std::size_t job) {
  if (by_events_) put_out(events_[job]->start());
}

// `change` may end a line that others wait for: then they have room again, or begin to wait.
template <class Change>
void Output::on_lines(Place& place, Change change) {
  const bool was_held = place.lines.is_held();
  const std::uint64_t before = place.lines.holds();
  change(place.lines);
  wait_for_line(place);
  if (was_held && (!place.lines.is_held() || place.lines.holds() != before)) on_change_();
}

void Output::wait_for_line(Place& place) {
  if (!place.lines.is_held() || !place.lines.someone_waits()) {
    place.armed_for = 0;
    return place.patience.cancel();
  }
  if (place.armed_for == place.lines.holds()) return;
  place.armed_for = place.lines.holds();
  place.patience.arm(kLinePatience, [this, &place] {
    place.armed_for = 0;
    // What is late may be whoever reads this output, not the line.
    if (backlog() > 0) return wait_for_line(place);
    on_lines(place, [](LineShare& lines) { lines.cut(); });
  });
}

void Output::bytes(std::size_t job, wire::Channel channel, ByteSpan bytes,
                   std::optional<WallTime> written) {
  if (by_events_) return put_out(events_[job]->bytes(channel_name(channel), bytes, written));
  if (!by_lines_)
    return channel == wire::Channel::kErr ? put_err(as_text(bytes)) : put_out(as_text(bytes));
  on_lines(place_of(channel), [&](LineShare& lines) {
    const std::size_t stream = stream_of(job, channel);
    if (options_.stamps == Stamps::kTime)
      lines.set_stamp(stream, local_time(written.value_or(wall_now()), "%H:%M:%S "));
    lines.feed(stream, bytes);
  });
}

void Output::state(std::size_t job, const std::string& state, wire::Map more) {
  if (by_events_) put_out(events_[job]->state(state, std::move(more)));
}

void Output::ended(std::size_t job, const wire::Map& record) {
  if (by_events_) return put_out(events_[job]->end(record));
  if (!by_lines_) return;
  for (const auto channel : {wire::Channel::kOut, wire::Channel::kErr})
    on_lines(place_of(channel), [&](LineShare& lines) { lines.finish(stream_of(job, channel)); });
}

void Output::break_long_lines() {
  for (const auto& place : places_)
    while (place->lines.is_held()) on_lines(*place, [](LineShare& lines) { lines.cut(); });
}

void Output::summary(wire::Map more) {
  if (by_events_) put_out(summary_line(std::move(more)));
}

void Output::restore_screen() {
  const std::string sequence = screen_.restore();
  if (!sequence.empty()) out_is_terminal_ ? put_out(sequence) : put_err(sequence);
}

void Output::put_line(std::string_view text) {
  if (by_lines_ && place_of(wire::Channel::kErr).lines.is_held())
    return on_lines(place_of(wire::Channel::kErr),
                    [&](LineShare& lines) { lines.say(std::string(text)); });
  const bool is_raw = terminal_ == Terminal::kRaw;
  std::string line = err_is_terminal_ && screen_.is_mid_line() ? (is_raw ? "\r\n" : "\n") : "";
  for (const char c : text) {
    if (c == '\n' && is_raw) line += '\r';
    line += c;
  }
  put_err(line);
}

void Output::say(std::string_view text) {
  if (options_.globals.quiet || options_.globals.json_errors) return;
  put_line("rexec: " + std::string(text) + "\n");
}

void Output::insist(std::string_view text) {
  if (!options_.globals.json_errors) put_line("rexec: " + std::string(text) + "\n");
}

void Output::complain(const Error& error) {
  if (options_.globals.json_errors) return put_line(error_json(error));
  std::string text = error_text(error);
  if (options_.globals.verbose) text += "  code: " + std::string(code_name(error.code)) + "\n";
  put_line(text);
}

// Unfinished lines are not counted: they are bounded, or wait for a line that only more input ends.
std::size_t Output::backlog() const { return out_.pending() + err_.pending(); }

std::size_t Output::backlog_of(std::size_t job) const {
  std::size_t bytes = backlog();
  for (const auto& place : places_)
    for (const auto channel : {wire::Channel::kOut, wire::Channel::kErr})
      bytes += place->lines.waiting(stream_of(job, channel));
  return bytes;
}

// A sink that is closed takes what comes and throws it away; what is left of a job when all sinks
// are empty waits for the end of a line.
client::PassedOn Output::passed_on(std::size_t job) const {
  if (out_.closed() || err_.closed()) return client::PassedOn::kNever;
  if (backlog() > 0) return client::PassedOn::kNotYet;
  return backlog_of(job) == 0 ? client::PassedOn::kAll : client::PassedOn::kNever;
}

bool Output::is_closed(wire::Channel channel) const {
  return channel == wire::Channel::kErr ? err_.closed() : out_.closed();
}

int Output::failure(wire::Channel channel) const {
  const client::Sink& sink = channel == wire::Channel::kErr ? err_ : out_;
  return sink.closed() && sink.failure() != EPIPE ? sink.failure() : 0;
}

}  // namespace rexec::cli
