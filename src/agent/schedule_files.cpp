#include "src/agent/schedule_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include "src/base/file.hpp"
#include "src/base/log.hpp"
#include "src/os/fd.hpp"

namespace rexec::agent {
namespace {

constexpr std::size_t kMaxFile = 256 << 20;
constexpr const char* kDefinitions = "/net/schedules";
constexpr const char* kProgress = "/net/schedules.state";

// As write_file, without its syncs.
Result<void> replace_file(const std::string& path, std::string_view content) {
  const std::string fresh = path + ".new";
  os::UniqueFd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(fresh, errno);
  while (!content.empty()) {
    const ssize_t n = ::write(fd.get(), content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(fresh, errno);
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(path, errno);
  return {};
}

// {}: there is none, or nobody can read it.
wire::Map read_map(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return wire::Map::object();
  const auto bytes = read_file(path, kMaxFile);
  auto map = bytes ? wire::parse_map(as_bytes(*bytes))
                   : Result<wire::Map>(fail(bytes.error().code, bytes.error().message));
  if (map) return std::move(*map);
  log_error("the schedules kept here cannot be read: the controller sends them again",
            {{"file", path}, {"why", map.error().message}});
  return wire::Map::object();
}

}  // namespace

ScheduleFiles load_schedules(const std::string& data_dir) {
  ScheduleFiles out;
  const wire::Map definitions = read_map(data_dir + kDefinitions);
  for (const wire::Map& entry : wire::child_or_empty(definitions, "schedules")) {
    auto definition = decode_definition(entry);
    if (definition)
      out.definitions.emplace(definition->id, std::move(*definition));
    else
      log_warn("a schedule kept here is dropped", {{"why", definition.error().message}});
  }
  const wire::Map progress = read_map(data_dir + kProgress);
  for (const auto& [id, entry] : wire::child_or_empty(progress, "progress").items()) {
    auto one = decode_progress(entry);
    if (one) out.progress.emplace(id, std::move(*one));
  }
  return out;
}

Result<void> save_definitions(const std::string& data_dir, const wire::Map& list) {
  return replace_file(data_dir + kDefinitions, wire::pack({{"schedules", list}}));
}

Result<void> save_progress(const std::string& data_dir, const wire::Map& by_id) {
  return replace_file(data_dir + kProgress, wire::pack({{"progress", by_id}}));
}

}  // namespace rexec::agent
