// One write(2) per line, so that lines of several threads and processes never tear and nothing is
// lost on a crash. Plain code instead of spdlog: its sinks, registry and pattern formatter cost
// more start-up time and binary than all of base, for this one function.
#include "src/base/log.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "src/base/clock.hpp"
#include "src/base/cut_text.hpp"
#include "src/base/text.hpp"

namespace rexec {
namespace {

struct LogState {
  char name[32] = {};
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
};
constinit LogState g_log;  // written by log_open() before threads start, only read afterwards

constexpr std::string_view kLevelNames[] = {"debug", "info", "warn", "error"};

std::string_view level_name(LogLevel level) { return kLevelNames[static_cast<int>(level)]; }

// Quotes are needed where a reader could not tell the value's end.
bool needs_quotes(std::string_view value) {
  return value.empty() || value.find_first_of(" =\"") != std::string_view::npos;
}

void append_quoted(std::string& line, std::string_view value) {
  line += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') line += '\\';
    line += c;
  }
  line += '"';
}

// Of one value or message, whoever chose it; a line stays within what one write keeps whole.
constexpr std::size_t kMostShown = 1024;

std::string shown(std::string_view text) {
  const std::string_view kept = cut_text(text, kMostShown);
  return printable(kept) + (kept.size() < text.size() ? "…" : "");
}

std::string text_line(LogLevel level, std::string_view message,
                      std::initializer_list<LogField> fields) {
  std::string line = to_iso8601(wall_now());
  line.append(" ").append(level_name(level));
  if (g_log.name[0] != '\0') line.append(" ").append(g_log.name).append(":");
  line.append(" ").append(shown(message));
  for (const LogField& field : fields) {
    line.append(" ").append(field.key).append("=");
    const std::string value = shown(field.value);
    if (needs_quotes(value)) {
      append_quoted(line, value);
    } else {
      line += value;
    }
  }
  return line;
}

void append_json(std::string& line, std::string_view key, std::string_view value) {
  line += line.empty() ? "{" : ",";
  append_quoted(line, key);
  line += ':';
  append_quoted(line, shown(value));
}

std::string json_line(LogLevel level, std::string_view message,
                      std::initializer_list<LogField> fields) {
  std::string line;
  append_json(line, "time", to_iso8601(wall_now()));
  append_json(line, "level", level_name(level));
  append_json(line, "program", g_log.name);
  append_json(line, "message", message);
  for (const LogField& field : fields) append_json(line, field.key, field.value);
  return line + "}";
}

}  // namespace

void log_open(std::string_view program, LogLevel level, LogFormat format) {
  const std::size_t length = program.copy(g_log.name, sizeof g_log.name - 1);
  g_log.name[length] = '\0';
  g_log.level = level;
  g_log.format = format;
  const char* wanted = std::getenv("REXEC_LOG");
  for (int i = 0; wanted != nullptr && i < 4; ++i) {
    if (kLevelNames[i] == wanted) g_log.level = static_cast<LogLevel>(i);
  }
}

void log_line(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  if (level < g_log.level) return;
  std::string line = g_log.format == LogFormat::kJson ? json_line(level, message, fields)
                                                      : text_line(level, message, fields);
  line += '\n';
  const int saved = errno;
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
  errno = saved;  // callers log between a failed call and looking at errno
}

void log_failure(const Error& error) {
  if (error.hint.empty()) return log_error(error.message);
  log_error(error.message, {{"next", error.hint}});
}

void log_failure(std::string_view what, const Error& error) {
  if (error.hint.empty()) return log_error(what, {{"why", error.message}});
  log_error(what, {{"why", error.message}, {"next", error.hint}});
}

}  // namespace rexec
