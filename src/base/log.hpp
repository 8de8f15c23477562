// The one place that logs: text for people or JSON lines for machines, on stderr. Values that came
// from a peer are escaped here, so a log line is always one line. Daemons log; the client prints
// (cli/run/output).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "src/base/error.hpp"

namespace rexec {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kText, kJson };

struct LogField {
  std::string_view key;
  std::string value;
};

// Call once before any thread starts. `program` is "controller", "agent" …; REXEC_LOG (debug,
// info, warn, error) overrides level. Before it is called, lines go out as text at level info.
void log_open(std::string_view program, LogLevel level, LogFormat format);
void log_line(LogLevel level, std::string_view message,
              std::initializer_list<LogField> fields = {});
inline void log_debug(std::string_view message, std::initializer_list<LogField> fields = {}) {
  log_line(LogLevel::kDebug, message, fields);
}
inline void log_info(std::string_view message, std::initializer_list<LogField> fields = {}) {
  log_line(LogLevel::kInfo, message, fields);
}
inline void log_warn(std::string_view message, std::initializer_list<LogField> fields = {}) {
  log_line(LogLevel::kWarn, message, fields);
}
inline void log_error(std::string_view message, std::initializer_list<LogField> fields = {}) {
  log_line(LogLevel::kError, message, fields);
}
// An error with its next step, where it names one; or what came of it, and the error as the why.
void log_failure(const Error& error);
void log_failure(std::string_view what, const Error& error);

}  // namespace rexec
