#include "cli/demo/demo_place.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "cli/line/errors.hpp"
#include "src/base/file.hpp"

namespace rexec::cli {
namespace {

// A REXEC_CONTEXT of the user must not lead the demo to a real controller.
void clear_rexec_variables() {
  std::vector<std::string> names;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const bool is_ours = text.starts_with("REXEC_") && !text.starts_with("REXEC_DEMO_STAY=") &&
                         !text.starts_with("REXEC_TEST_");
    if (is_ours) names.emplace_back(text.substr(0, text.find('=')));
  }
  for (const std::string& name : names) ::unsetenv(name.c_str());
}

// A word for sh, whatever is in it.
std::string shell_quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

constexpr const char* kXdg[][2] = {
    {"XDG_CONFIG_HOME", "/config"}, {"XDG_DATA_HOME", "/share"}, {"XDG_CACHE_HOME", "/cache"}};

}  // namespace

Result<DemoPlace> DemoPlace::make() {
  const char* base = std::getenv("TMPDIR");
  std::string path =
      std::string(base != nullptr && *base == '/' ? base : "/tmp") + "/rexec-demo-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail_errno(path, errno);
  DemoPlace place(path);
  // As root the agents' network processes are another user and must get to their directory.
  if (::geteuid() == 0) ::chmod(path.c_str(), 0711);
  const Result<void> filled = place.fill();
  if (!filled) return std::unexpected(filled.error());
  return place;
}

Result<void> DemoPlace::fill() const {
  clear_rexec_variables();
  std::string variables = "# sh: . " + environment_file() + "\n";
  for (const auto& [name, folder] : kXdg) {
    const std::string path = path_ + folder;
    const Result<void> made = make_directories(path, 0700);
    if (!made) return made;
    ::setenv(name, path.c_str(), 1);
    variables += "export " + std::string(name) + "=" + shell_quote(path) + "\n";
  }
  Result<void> made = make_directories(path_ + "/bin", 0755);
  if (made) made = make_directories(path_ + "/log", 0700);
  if (!made) return made;
  char binary[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", binary, sizeof binary - 1);
  if (n <= 0) return fail_errno("/proc/self/exe", errno);
  binary[n] = '\0';
  if (::symlink(binary, (path_ + "/bin/rexec").c_str()) != 0)
    return fail_errno(path_ + "/bin", errno);
  const char* old = std::getenv("PATH");
  const std::string search =
      path_ + "/bin:" + (old != nullptr ? old : "/usr/local/bin:/usr/bin:/bin");
  ::setenv("PATH", search.c_str(), 1);
  variables += "export PATH=" + shell_quote(path_ + "/bin") + ":\"$PATH\"\n";
  variables += "unset REXEC_CONTEXT REXEC_CONFIG REXEC_OUTPUT REXEC_TOKEN_FILE\n";
  return write_file(environment_file(), variables, 0600);
}

bool DemoPlace::remove() {
  if (path_.empty()) return true;
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  const std::string path = std::exchange(path_, {});
  if (!error) return true;
  print_error(Globals{},
              {Code::kIo, path + " could not be removed wholly: " + error.message(), {}});
  return false;
}

}  // namespace rexec::cli
