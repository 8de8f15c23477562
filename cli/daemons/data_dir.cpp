#include "cli/daemons/data_dir.hpp"

#include <unistd.h>

#include <climits>

#include "src/base/text.hpp"
#include "src/client/context.hpp"

namespace rexec::cli {
namespace {

bool has_file(const std::string& directory, const char* name) {
  return ::access((directory + "/" + name).c_str(), F_OK) == 0;
}

bool is_controllers(const std::string& directory) {
  // The latter two are there before controller.toml is, and where that got lost.
  return has_file(directory, "controller.toml") || has_file(directory, "controller.db") ||
         has_file(directory, "ca.key");
}

bool is_agents(const std::string& directory) { return has_file(directory, "agent.toml"); }

// One that was made both by an earlier version goes on as both.
Result<std::string> check_role(std::string directory, Daemon daemon) {
  const bool is_controller = daemon == Daemon::kController;
  const bool is_own = is_controller ? is_controllers(directory) : is_agents(directory);
  const bool is_other = is_controller ? is_agents(directory) : is_controllers(directory);
  if (is_own || !is_other) return directory;
  return fail(
      Code::kConflict,
      printable(directory) + (is_controller ? " is an agent's data directory, not a controller's"
                                            : " is a controller's data directory, not an agent's"),
      "name another one: --data DIR");
}

Result<std::string> choose_dir(const Args& args, Daemon daemon) {
  const std::string name = daemon == Daemon::kController ? "/controller" : "/agent";
  std::string path = args.value("data");
  if (args.has("data") && path.empty())
    return fail(Code::kUsage, "--data: an empty path", "write --data DIR, or leave it out");
  if (path.empty() && ::geteuid() == 0) return "/var/lib/rexec" + name;
  if (path.empty()) {
    const Result<client::Paths> paths = client::find_paths({});
    if (!paths) return std::unexpected(paths.error());
    return paths->data_dir + name;
  }
  if (path[0] != '/') {
    char here[PATH_MAX];
    if (::getcwd(here, sizeof here) == nullptr) return fail_errno("--data", errno);
    path = std::string(here) + "/" + path;
  }
  return path;
}

}  // namespace

Result<std::string> data_dir(const Args& args, Daemon daemon) {
  auto directory = choose_dir(args, daemon);
  if (!directory) return directory;
  return check_role(std::move(*directory), daemon);
}

}  // namespace rexec::cli
