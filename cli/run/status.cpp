#include "cli/run/status.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "cli/line/exit_status.hpp"
#include "src/base/file.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

Result<void> write_fd(int fd, std::string_view text, const std::string& name) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(name, errno);
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

// There is no other way to ask; nothing else makes files then.
mode_t current_umask() {
  const mode_t mask = ::umask(077);
  ::umask(mask);
  return mask;
}

bool is_regular_or_missing(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode);
}

Result<void> write_in_place(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno(path, errno);
  const Result<void> written = write_fd(fd, text, path);
  ::close(fd);
  return written;
}

// What opening it at the end would say, or 0. Nothing is left behind and nothing is waited for: a
// FIFO's reader may come later.
int why_not_writable(const std::string& path) {
  struct stat info{};
  const bool is_there = ::stat(path.c_str(), &info) == 0;
  if (is_there && S_ISDIR(info.st_mode)) return EISDIR;
  if (is_there && S_ISFIFO(info.st_mode)) return ::access(path.c_str(), W_OK) == 0 ? 0 : errno;
  if (is_there && !S_ISREG(info.st_mode)) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) return errno;
    ::close(fd);
    return 0;
  }
  if (path.ends_with('/')) return EISDIR;
  const auto slash = path.rfind('/');
  const std::string directory =
      slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
  if (::access(directory.c_str(), W_OK | X_OK) != 0) return errno;
  const int fd = ::open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
  // EOPNOTSUPP, EISDIR: a file system without nameless files; access() has to do.
  return fd >= 0 || errno == EOPNOTSUPP || errno == EISDIR ? 0 : errno;
}

}  // namespace

Result<void> check_status_target(const StatusTarget& target) {
  if (target.fd >= 0) {
    const int flags = ::fcntl(target.fd, F_GETFL);
    const std::string what = "--status-fd: " + std::to_string(target.fd);
    if (flags < 0) return fail(Code::kUsage, what + " is not open");
    if ((flags & O_ACCMODE) == O_RDONLY) return fail(Code::kUsage, what + " is open for reading");
  }
  if (target.file.empty()) return {};
  const int error = why_not_writable(target.file);
  if (error == 0) return {};
  return fail(Code::kUsage, "--status-file: " + fail_errno(target.file, error).error().message,
              "name a file in a directory that you may write, for example --status-file ./status");
}

Result<void> write_status(const StatusTarget& target, const std::vector<wire::Map>& records) {
  std::string text;
  for (const wire::Map& record : records) {
    text += record.dump(-1, ' ', false, wire::Map::error_handler_t::replace) + "\n";
  }
  Result<void> done;
  if (target.fd >= 0) done = write_fd(target.fd, text, "--status-fd");
  if (target.file.empty()) return done;
  const Result<void> in_file = is_regular_or_missing(target.file)
                                   ? write_file(target.file, text, 0666 & ~current_umask())
                                   : write_in_place(target.file, text);
  return in_file ? done : in_file;
}

wire::Map status_of_failure(const FailedRun& run, const Error& error) {
  return {{"node", run.node},
          {"job", run.job.empty() ? wire::Map(nullptr) : wire::Map(run.job)},
          {"outcome", outcome_of_failure(error.code)},
          {"code", exit_of_failure(error.code)},
          {"signal", nullptr},
          {"oom", false},
          {"bytes", {{"out", run.out_bytes}, {"err", run.err_bytes}}},
          {"xxh128", {{"out", ""}, {"err", ""}}},
          {"complete", false},
          {"reason", code_name(error.code)},
          {"message", printable(error.message)},
          {"wall_s", 0.0},
          {"cpu_s", 0.0},
          {"max_rss", 0}};
}

wire::Map status_of_accepted(const std::string& node, const std::string& job,
                             const std::string& refused) {
  if (!refused.empty())
    return whole_record({{"node", node},
                         {"job", job},
                         {"outcome", outcome_of_failure(code_from_name(refused))},
                         {"reason", refused}});
  wire::Map status = status_of_failure({node, job, 0, 0}, {});
  status.update({{"outcome", "accepted"}, {"code", nullptr}, {"reason", ""}, {"message", ""}});
  return status;
}

wire::Map whole_record(wire::Map record) {
  const std::string outcome = wire::text_or(record, "outcome");
  if (outcome != "unreachable" && outcome != "not_started" && outcome != "denied") return record;
  const std::string node = wire::text_or(record, "node");
  const Code code = code_from_name(wire::text_or(record, "reason"));
  const std::string message =
      code == Code::kNodeOffline ? "node \"" + node + "\" is offline" : std::string();
  wire::Map whole =
      status_of_failure({node, wire::text_or(record, "job"), 0, 0}, {code, message, {}});
  whole.update(record);
  if (wire::text_or(record, "message").empty()) whole["message"] = message;
  if (wire::u64_or(record, "signal", 0) == 0) whole["signal"] = nullptr;
  whole["complete"] = false;
  return whole;
}

}  // namespace rexec::cli
