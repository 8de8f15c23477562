// A real spawner with real shims in a temporary directory, and the test in the place of net: it
// holds net's end of the socket, follows jobs through their shims as net would, and may kill any of
// the processes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/job/ipc/link.hpp"
#include "src/job/spawner/spawner.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spec/spec.hpp"
#include "src/job/spool/attempt_dir.hpp"
#include "src/job/spool/spool.hpp"
#include "tests/unit/job/temp_dir.hpp"

namespace rexec::job {

// One job seen through its shim's socket. Every wait fails the test after a generous limit.
class JobView {
 public:
  JobView(AttemptKey key, os::UniqueFd socket, std::uint64_t out = 0, std::uint64_t err = 0);
  JobView(JobView&&) = default;
  JobView& operator=(JobView&&) = default;

  void send(const link::ToShim& message);
  // Handles one message; false when none came in time or the socket ended.
  bool step(int timeout_ms = 15000);
  void wait_state();
  void wait_started();
  void wait_out(std::string_view text);
  EndRecord wait_end();
  // Stops reading the spool: a slow reader.
  bool reading = true;

  AttemptKey key;
  os::UniqueFd socket;
  std::string out, err, gaps;
  std::optional<link::State> state;
  std::optional<link::Exited> exited;
  std::optional<EndRecord> end;
  link::StdinAck ack;
  link::Held held;
  link::Output output;
  bool started = false;
  bool closed = false;
  std::uint32_t pid = 0;
  std::size_t out_bytes = 0;
  bool keep_bytes = true;

 private:
  void read_spool();
  void on(link::State m, std::vector<os::UniqueFd>& fds);
  void on(link::Segment m, std::vector<os::UniqueFd>& fds);
  void on(link::Output m, std::vector<os::UniqueFd>& fds);
  void on(link::StdinAck m, std::vector<os::UniqueFd>& fds);
  void on(link::Started m, std::vector<os::UniqueFd>& fds);
  void on(link::Exited m, std::vector<os::UniqueFd>& fds);
  void on(link::End m, std::vector<os::UniqueFd>& fds);
  void on(link::Held m, std::vector<os::UniqueFd>& fds);
  void on(link::Newer, std::vector<os::UniqueFd>&) {}

  SpoolReader reader_;
  SpoolBuffer buffer_;
};

// What a Finished says, its output read from the descriptors.
struct FinishedView {
  link::Finished message;
  EndRecord record;
  std::string out, err, gaps;
};

class Rig {
 public:
  Rig();
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  SpawnerOptions options;  // data_dir is set; change the rest before boot()
  void boot();
  // SIGKILL, and gone when this returns.
  void kill_spawner();
  void kill_net();
  // TERM; its exit status.
  int end_spawner();
  pid_t spawner() const { return spawner_; }
  // The next net end, after a restart of net.
  void take_net();

  AttemptKey new_key() const;
  void send(const link::ToSpawner& message, int fd = -1);
  void send_start(const AttemptKey& key, const JobSpec& spec, bool attach = true);
  link::FromSpawner receive(int timeout_ms = 15000);
  std::vector<os::UniqueFd> received_fds;
  void wait_sync();

  JobView start(const JobSpec& spec, bool attach = true);
  JobView expect_channel(const AttemptKey& key, std::uint64_t out = 0, std::uint64_t err = 0);
  FinishedView expect_finished(const AttemptKey& key);
  link::Refused expect_refused(const AttemptKey& key);

  const TempDir& dir() const { return dir_; }
  std::string job_dir(const AttemptKey& key) const {
    return dir_.path() + "/data/jobs/" + attempt_name(key);
  }
  // Living processes that carry the attempt's mark, the job's user being ours.
  static std::vector<pid_t> processes_of(const AttemptKey& key);
  static pid_t shim_of(const std::string& job_dir);

 private:
  TempDir dir_;
  pid_t spawner_ = 0;
  pid_t net_ = 0;
  os::UniqueFd rig_, rig_spawner_, net_end_;
};

JobSpec shell(std::string text);
JobSpec command(std::vector<std::string> argv);
// Waits for a condition that another process brings about; false after `limit_ms`.
bool eventually(const std::function<bool()>& condition, int limit_ms = 15000);

}  // namespace rexec::job
