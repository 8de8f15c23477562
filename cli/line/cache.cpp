#include "cli/line/cache.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/line/errors.hpp"
#include "cli/line/sign_in.hpp"
#include "src/base/file.hpp"
#include "src/base/ids.hpp"
#include "src/wire/maps.hpp"

namespace rexec::cli {
namespace {

constexpr std::size_t kMostNames = 10'000;  // a fleet; more would be slow to complete
constexpr std::size_t kMostRecent = 200;

const char* key_of(Remembered what) { return what == Remembered::kNodes ? "nodes" : "jobs"; }

// Empty when there is no context or no place for a cache.
std::string cache_directory(const Globals& globals) {
  const Result<client::ContextFile> file = load_contexts(globals);
  if (!file) return {};
  const Result<client::ContextEntry> context = file->choose(globals.context);
  return context ? file->paths().cache_dir + "/" + context->name : std::string();
}

wire::Map load(const std::string& directory) {
  const Result<std::string> text = read_file(directory + "/complete.json", 4 << 20);
  wire::Map known = text ? wire::Map::parse(*text, nullptr, false) : wire::Map();
  return known.is_object() ? known : wire::Map::object();
}

bool save(const std::string& directory, const wire::Map& known) {
  if (!make_directories(directory, 0700)) return false;
  const std::string path = directory + "/complete.json";
  const std::string next = path + "." + std::to_string(::getpid());
  const std::string text = known.dump(-1, ' ', false, wire::Map::error_handler_t::replace);
  const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  if (written && std::rename(next.c_str(), path.c_str()) == 0) return true;
  ::unlink(next.c_str());
  return false;
}

std::vector<std::string> names_in(const wire::Map& known, Remembered what) {
  std::vector<std::string> names;
  for (const wire::Map& name : wire::child_or_empty(known, key_of(what))) {
    // It goes into a shell's line: what no node and no job is called stays out of it.
    if (name.is_string() && check_name("name", name.get_ref<const std::string&>()))
      names.push_back(name.get<std::string>());
  }
  return names;
}

}  // namespace

void remember(const Globals& globals, Remembered what, const std::vector<std::string>& names) {
  const std::string directory = cache_directory(globals);
  if (directory.empty()) return;
  wire::Map known = load(directory);
  if (names_in(known, what) == names) return;
  const auto count = static_cast<long>(std::min(names.size(), kMostNames));
  known[key_of(what)] = std::vector<std::string>(names.begin(), names.begin() + count);
  if (!save(directory, known) && globals.verbose) {
    print_notice(globals, "no cache for completion: " + directory + " cannot be written");
  }
}

void remember_more(const Globals& globals, Remembered what, const std::vector<std::string>& names) {
  std::vector<std::string> all = names;
  for (std::string& name : recall(globals, what)) {
    const bool is_new = std::find(names.begin(), names.end(), name) == names.end();
    if (is_new && all.size() < kMostRecent) all.push_back(std::move(name));
  }
  remember(globals, what, all);
}

std::vector<std::string> recall(const Globals& globals, Remembered what) {
  const std::string directory = cache_directory(globals);
  return directory.empty() ? std::vector<std::string>() : names_in(load(directory), what);
}

}  // namespace rexec::cli
