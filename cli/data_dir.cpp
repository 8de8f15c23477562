#include "cli/data_dir.hpp"

#include <unistd.h>

#include <climits>

#include "src/client/context.hpp"

namespace rexec::cli {

Result<std::string> data_dir(const Args& args, Daemon daemon) {
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

}  // namespace rexec::cli
