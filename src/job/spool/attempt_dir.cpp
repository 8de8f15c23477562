// See attempt_dir.hpp.
#include "src/job/spool/attempt_dir.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "src/base/text.hpp"
#include "src/os/room.hpp"
#include "src/wire/maps.hpp"

namespace rexec::job {
namespace {

template <class T>
bool number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

struct flock whole_file() {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

void unlink_all(int dir_fd) {
  for (const std::string& name : list_directory(dir_fd)) ::unlinkat(dir_fd, name.c_str(), 0);
}

}  // namespace

std::string attempt_name(const AttemptKey& key) {
  return key.job.text + "." + std::to_string(key.attempt);
}

std::optional<AttemptKey> attempt_from_name(std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == name.npos || !is_id(name.substr(0, dot), 'j')) return std::nullopt;
  AttemptKey key{JobId{std::string(name.substr(0, dot))}, 0};
  if (!number(name.substr(dot + 1), key.attempt) || attempt_name(key) != name) return std::nullopt;
  return key;
}

std::string to_text(const StartedRecord& record) {
  return "boot " + record.boot_id + "\npid " + std::to_string(record.pid) + "\nticks " +
         std::to_string(record.start_ticks) + "\nuid " + std::to_string(record.uid) + "\nwall_ms " +
         std::to_string(record.wall_ms) + "\ncgroup " + record.cgroup + "\nscript " +
         record.script_path + "\nlink " + std::to_string(record.link) + "\n";
}

StartedRecord started_from_text(std::string_view text) {
  StartedRecord record;
  for (const auto& line : split(text, '\n')) {
    const std::size_t space = line.find(' ');
    if (space == line.npos) continue;
    const std::string key = line.substr(0, space), value = line.substr(space + 1);
    if (key == "boot") record.boot_id = value;
    if (key == "pid") number(value, record.pid);
    if (key == "ticks") number(value, record.start_ticks);
    if (key == "uid") number(value, record.uid);
    if (key == "wall_ms") number(value, record.wall_ms);
    if (key == "cgroup") record.cgroup = value;
    if (key == "script") record.script_path = value;
    if (key == "link") number(value, record.link);
  }
  return record;
}

std::string encode_meta(const link::Meta& meta, const link::Start& start) {
  wire::Map map{{"ticket", wire::bin(meta.ticket)},
                {"owner", wire::bin(meta.owner)},
                {"received_ms", meta.received_ms},
                {"attach", start.attach}};
  if (meta.restarts) map["restarts"] = true;
  if (meta.streak != 0) map["streak"] = meta.streak;
  return wire::pack(map);
}

Result<StoredMeta> decode_meta(std::string_view bytes) {
  auto map = wire::parse_map(as_bytes(bytes));
  if (!map) return std::unexpected(map.error());
  return StoredMeta{{wire::bin_or(*map, "ticket"), wire::bin_or(*map, "owner"),
                     wire::u64_or(*map, "received_ms", 0), wire::bool_or(*map, "restarts", false),
                     static_cast<std::uint32_t>(wire::u64_or(*map, "streak", 0))},
                    wire::bool_or(*map, "attach", false)};
}

Result<StoredMeta> read_meta(int dir_fd) {
  const auto bytes = os::read_file_at(dir_fd, "meta", 1 << 16);
  if (!bytes) return std::unexpected(bytes.error());
  return decode_meta(*bytes);
}

Result<EndRecord> read_record(int dir_fd) {
  constexpr std::size_t kMost = 64 << 10;
  const auto json = os::read_file_at(dir_fd, "exit", kMost);
  if (!json) return std::unexpected(json.error());
  return record_from_json(*json);
}

bool reserve_record(int dir_fd) {
  constexpr std::size_t kRoom = 4096;  // a block; a record is a few hundred bytes
  const auto file = os::create_file_at(dir_fd, "exit.tmp");
  return file && os::reserve(file->get(), kRoom);
}

pid_t lock_holder(int dir_fd, const char* name) {
  // O_RDWR would do; but opening and closing is harmless here only because we never hold this lock.
  os::UniqueFd fd(::openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  struct flock lock = whole_file();
  if (!fd || ::fcntl(fd.get(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  return lock.l_pid;
}

pid_t lock_holder(int dir_fd) { return lock_holder(dir_fd, "lock"); }

bool take_lock(int dir_fd, const char* name) {
  os::UniqueFd fd(::openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct flock lock = whole_file();
  if (!fd || ::fcntl(fd.get(), F_SETLK, &lock) != 0) return false;
  fd.release();  // closing any descriptor of the file would drop the lock
  return true;
}

Attempt read_state(int dir_fd) {
  const auto there = [dir_fd](const char* name) {
    return ::faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  };
  if (there("exit")) return {AttemptState::kFinished, 0};
  if (const pid_t holder = lock_holder(dir_fd); holder != 0) return {AttemptState::kAlive, holder};
  // The shim may have ended between the two looks: it writes `exit` before it lets go.
  if (there("exit")) return {AttemptState::kFinished, 0};
  return {there("started") ? AttemptState::kStarted : AttemptState::kNew, 0};
}

bool is_reported(int dir_fd) {
  return ::faccessat(dir_fd, "reported", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool is_halted(int dir_fd) { return ::faccessat(dir_fd, "halt", F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

bool was_started(int dir_fd) {
  return ::faccessat(dir_fd, "started", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void remove_script(const std::string& script_path, uid_t owner) {
  const std::size_t slash = script_path.rfind('/');
  if (slash == std::string::npos || !script_path.starts_with("/tmp/rexec-")) return;
  const std::string directory = script_path.substr(0, slash);
  os::UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0 || status.st_uid != owner) return;
  unlink_all(fd.get());
  ::rmdir(directory.c_str());
}

Result<void> remove_directory(int jobs_fd, const std::string& name) {
  os::UniqueFd fd(::openat(jobs_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno(name, errno);
  unlink_all(fd.get());
  if (::unlinkat(jobs_fd, name.c_str(), AT_REMOVEDIR) != 0) return fail_errno(name, errno);
  return {};
}

std::vector<std::string> list_directory(int dir_fd) {
  std::vector<std::string> names;
  const int copy = ::openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* directory = copy < 0 ? nullptr : ::fdopendir(copy);
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(directory);
  return names;
}

}  // namespace rexec::job
