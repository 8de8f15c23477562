// Words to people and machines on stdout and stderr of verbs that do not run a reactor; a run's
// own words go through output.hpp, which never blocks.
#include "cli/line/errors.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cli/line/exit_status.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

// False with errno when it cannot be written. A descriptor that somebody made non-blocking is
// waited for.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd ready{fd, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string error_text(const Error& error) {
  std::string text = "rexec: " + printable(error.message) + "\n";
  if (error.hint.empty()) return text;
  for (const std::string& line : split(error.hint, '\n')) {
    if (!line.empty()) text += "  " + printable(line) + "\n";
  }
  return text;
}

std::string error_json(const Error& error) {
  const nlohmann::json object{{"error",
                               {{"code", code_name(error.code)},
                                {"message", printable(error.message)},
                                {"hint", error.hint}}}};
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void print_error(const Globals& globals, const Error& error) {
  if (globals.json_errors) {
    write_all(STDERR_FILENO, error_json(error));
    return;
  }
  std::string text = error_text(error);
  if (globals.verbose) {
    const std::string name(code_name(error.code));
    text += "  code: " + name + "; see: rexec explain " + name + "\n";
  }
  write_all(STDERR_FILENO, text);
}

int fail_with(const Globals& globals, const Error& error) {
  print_error(globals, error);
  return exit_of_error(error.code);
}

void print_notice(const Globals& globals, std::string_view text) {
  if (!globals.quiet) write_all(STDERR_FILENO, "rexec: " + std::string(text) + "\n");
}

int write_out(std::string_view text) { return write_all(STDOUT_FILENO, text) ? 0 : errno; }

int print_out(std::string_view text) {
  const int error = write_out(text);
  if (error == 0) return 0;
  if (error != EPIPE) {
    write_all(STDERR_FILENO, std::string("rexec: stdout: ") + std::strerror(error) + "\n");
  }
  return 1;
}

bool wants_color(const Globals& globals, int fd) {
  if (globals.color != Color::kAuto) return globals.color == Color::kAlways;
  return ::isatty(fd) == 1;
}

}  // namespace rexec::cli
