#include "src/agent/schedule_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "src/base/file.hpp"
#include "src/base/log.hpp"
#include "src/os/fd.hpp"

namespace rexec::agent {
namespace {

constexpr std::size_t kMaxFile = 256 << 20;
constexpr const char* kDirectory = "/net/schedules.d/";
constexpr std::string_view kState = ".state";
// All of them in one file each, as versions before kept them.
constexpr const char* kOldDefinitions = "/net/schedules";
constexpr const char* kOldProgress = "/net/schedules.state";

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

std::string path_of(const std::string& data_dir, const std::string& id) {
  return data_dir + kDirectory + id;
}

void take_definition(const wire::Map& entry, ScheduleFiles& into) {
  auto definition = decode_definition(entry);
  if (definition)
    into.definitions.emplace(definition->id, std::move(*definition));
  else
    log_warn("a schedule kept here is dropped", {{"why", definition.error().message}});
}

void take_progress(const std::string& id, const wire::Map& entry, ScheduleFiles& into) {
  auto one = decode_progress(entry);
  if (one) into.progress.emplace(id, std::move(*one));
}

// Their files go when the others are there.
void take_over_old(const std::string& data_dir, ScheduleFiles& into) {
  const wire::Map definitions = read_map(data_dir + kOldDefinitions);
  for (const wire::Map& entry : wire::child_or_empty(definitions, "schedules"))
    take_definition(entry, into);
  const wire::Map progress = read_map(data_dir + kOldProgress);
  for (const auto& [id, entry] : wire::child_or_empty(progress, "progress").items())
    if (is_id(id, 's')) take_progress(id, entry, into);
  bool is_kept = true;
  for (const auto& [id, one] : into.progress)
    is_kept = save_progress(data_dir, id, one).has_value() && is_kept;
  for (const auto& [id, one] : into.definitions)
    is_kept = save_definition(data_dir, one).has_value() && is_kept;
  if (!is_kept) return;
  ::unlink((data_dir + kOldDefinitions).c_str());
  ::unlink((data_dir + kOldProgress).c_str());
}

}  // namespace

ScheduleFiles load_schedules(const std::string& data_dir) {
  ScheduleFiles out;
  ::mkdir((data_dir + kDirectory).c_str(), 0700);
  if (::access((data_dir + kOldDefinitions).c_str(), F_OK) == 0 ||
      ::access((data_dir + kOldProgress).c_str(), F_OK) == 0) {
    take_over_old(data_dir, out);
    return out;
  }
  std::error_code failed;
  for (const auto& file : std::filesystem::directory_iterator(data_dir + kDirectory, failed)) {
    std::string name = file.path().filename().string();
    const bool is_state = name.ends_with(kState);
    if (is_state) name.resize(name.size() - kState.size());
    if (!is_id(name, 's')) continue;  // one that was not finished
    const wire::Map map = read_map(file.path().string());
    if (map.empty()) continue;
    is_state ? take_progress(name, map, out) : take_definition(map, out);
  }
  return out;
}

Result<void> save_definition(const std::string& data_dir, const ScheduleDefinition& definition) {
  return replace_file(path_of(data_dir, definition.id), wire::pack(encode_definition(definition)));
}

Result<void> save_progress(const std::string& data_dir, const std::string& id,
                           const ScheduleProgress& progress) {
  return replace_file(path_of(data_dir, id) + std::string(kState),
                      wire::pack(encode_progress(progress)));
}

void remove_definition(const std::string& data_dir, const std::string& id) {
  ::unlink(path_of(data_dir, id).c_str());
}

void remove_progress(const std::string& data_dir, const std::string& id) {
  ::unlink((path_of(data_dir, id) + std::string(kState)).c_str());
}

}  // namespace rexec::agent
