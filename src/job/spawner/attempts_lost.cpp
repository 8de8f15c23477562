// An attempt that was started and whose shim is gone: what it left is killed, then the record says
// lost. See attempts.hpp.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/job/spawner/attempts.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spool/spool.hpp"

namespace rexec::job {
namespace {

constexpr Nanos kFirstPause = std::chrono::milliseconds(2);
constexpr Nanos kLongestPause = std::chrono::milliseconds(500);

std::optional<os::Cgroup> open_cgroup(const std::string& path) {
  if (path.empty()) return std::nullopt;
  auto group = os::Cgroup::open(path);
  if (!group) return std::nullopt;
  return std::move(*group);
}

}  // namespace

void Attempts::lose(const AttemptKey& key) {
  if (settling_.contains(key)) return;
  const os::UniqueFd dir = open_dir(key);
  const auto text = os::read_file_at(dir.get(), "started", 1 << 16);
  Settling& settling = settling_[key];
  if (text) settling.started = started_from_text(*text);
  settling.pause = kFirstPause;
  settling.reason = "supervisor";
  const StartedRecord& started = settling.started;
  if (!started.boot_id.empty() && started.boot_id != boot_) {
    settling.reason = "reboot";
    return write_lost(key);
  }
  os::ProcessInfo leader;
  leader.pid = static_cast<pid_t>(started.pid);
  leader.start_ticks = started.start_ticks;
  settling.tree = JobTree::of_orphans(key, open_cgroup(started.cgroup), leader);
  kill_left(key);
}

void Attempts::kill_left(const AttemptKey& key) {
  Settling& settling = settling_.at(key);
  settling.tree->kill_all();
  if (settling.tree->empty()) {
    settling.tree->remove_cgroup();
    fail_point(FailPoint::kSpawnerLostKilled);
    return write_lost(key);
  }
  settling.timer = loop_.after(settling.pause, [this, key] { kill_left(key); });
  settling.pause = std::min(settling.pause * 2, kLongestPause);
}

void Attempts::write_lost(const AttemptKey& key) {
  Settling& settling = settling_.at(key);
  const os::UniqueFd dir = open_dir(key);
  EndRecord record;
  record.node = defaults_.node;
  record.key = key;
  record.reason = settling.reason;
  record.started_ms = settling.started.wall_ms;
  record.ended_ms = static_cast<std::uint64_t>(wall_now().time_since_epoch().count());
  if (const auto scan = recover_spool(dir.get())) record.bytes = scan->totals;
  auto written = os::replace_file_at(dir.get(), "exit", as_bytes(to_json(record)), os::Sync::kYes);
  if (!written) {
    settling.timer = loop_.after(kLongestPause, [this, key] { write_lost(key); });
    return;
  }
  fail_point(FailPoint::kSpawnerLostWritten);
  ::unlinkat(dir.get(), "sock", 0);
  remove_script(settling.started.script_path, settling.started.uid);
  log_warn("a job is lost", {{"job", attempt_name(key)}, {"reason", record.reason}});
  settling_.erase(key);
  sweep_cgroups(cgroups_);
  post_finished(key, dir.get());
  follow(key);
}

}  // namespace rexec::job
