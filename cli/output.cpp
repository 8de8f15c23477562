#include "cli/output.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cli/errors.hpp"
#include "cli/listing.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

// Six colours that are readable on dark and light backgrounds.
constexpr const char* kColors[] = {"\x1b[36m", "\x1b[33m", "\x1b[32m",
                                   "\x1b[35m", "\x1b[34m", "\x1b[31m"};

const char* channel_name(wire::Channel channel) {
  return channel == wire::Channel::kErr ? "err" : "out";
}

}  // namespace

Output::Output(const net::Executor& executor, OutputOptions options,
               std::function<void()> on_change)
    : options_(std::move(options)),
      out_(executor, STDOUT_FILENO, on_change),
      err_(executor, STDERR_FILENO, on_change),
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

void Output::begin(const std::vector<client::JobInfo>& jobs) {
  by_events_ = options_.globals.format == Format::kJsonl;
  by_lines_ = !by_events_ && (jobs.size() > 1 || options_.stamps == Stamps::kTime);
  std::size_t width = 0;
  for (const auto& job : jobs) width = std::max(width, printable(job.node).size());
  for (const auto& job : jobs) {
    Job& shown = jobs_.emplace_back();
    if (by_events_) shown.events = std::make_unique<JobEvents>(job.node, job.job);
    if (!by_lines_) continue;
    const std::string prefix = jobs.size() > 1 ? prefix_of(job.node, jobs_.size() - 1, width) : "";
    shown.out = std::make_unique<LinePrefixer>(prefix);
    shown.err = std::make_unique<LinePrefixer>(prefix);
  }
}

void Output::put_out(std::string_view text) {
  if (out_is_terminal_ && !text.empty()) mid_line_ = text.back() != '\n';
  out_.write(as_bytes(text));
}

void Output::put_err(std::string_view text) {
  if (err_is_terminal_ && !text.empty()) mid_line_ = text.back() != '\n';
  err_.write(as_bytes(text));
}

void Output::started(std::size_t job) {
  if (by_events_) put_out(jobs_[job].events->start());
}

void Output::bytes(std::size_t job, wire::Channel channel, ByteSpan bytes) {
  Job& from = jobs_[job];
  if (by_events_) return put_out(from.events->bytes(channel_name(channel), bytes));
  const bool is_err = channel == wire::Channel::kErr;
  if (!by_lines_) return is_err ? put_err(as_text(bytes)) : put_out(as_text(bytes));
  LinePrefixer& lines = is_err ? *from.err : *from.out;
  if (options_.stamps == Stamps::kTime) lines.set_stamp(local_time_now("%H:%M:%S "));
  std::string text;
  lines.feed(bytes, text);
  if (is_err) {
    put_err(text);
  } else {
    put_out(text);
  }
}

void Output::state(std::size_t job, const std::string& state, wire::Map more) {
  if (by_events_) put_out(jobs_[job].events->state(state, std::move(more)));
}

void Output::ended(std::size_t job, const wire::Map& record) {
  Job& ended = jobs_[job];
  if (by_events_) return put_out(ended.events->end(record));
  if (!by_lines_) return;
  std::string text;
  ended.out->finish(text);
  put_out(text);
  text.clear();
  ended.err->finish(text);
  put_err(text);
}

void Output::summary(wire::Map more) {
  if (by_events_) put_out(summary_line(std::move(more)));
}

void Output::control(std::string_view sequence) {
  if (out_is_terminal_) put_out(sequence);
}

void Output::put_line(std::string_view text) {
  const bool is_raw = terminal_ == Terminal::kRaw;
  std::string line = err_is_terminal_ && mid_line_ ? (is_raw ? "\r\n" : "\n") : "";
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

void Output::complain(const Error& error) {
  if (options_.globals.json_errors) return put_line(error_json(error));
  std::string text = error_text(error);
  if (options_.globals.verbose) text += "  code: " + std::string(code_name(error.code)) + "\n";
  put_line(text);
}

// Unfinished lines are not counted: they are bounded, and only more input releases them.
std::size_t Output::backlog() const { return out_.pending() + err_.pending(); }

bool Output::is_closed(wire::Channel channel) const {
  return channel == wire::Channel::kErr ? err_.closed() : out_.closed();
}

int Output::failure(wire::Channel channel) const {
  const client::Sink& sink = channel == wire::Channel::kErr ? err_ : out_;
  return sink.closed() && sink.failure() != EPIPE ? sink.failure() : 0;
}

}  // namespace rexec::cli
