#include "tests/unit/job/rig.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "src/base/log.hpp"
#include "src/os/proc.hpp"
#include "src/os/seqpacket.hpp"

namespace rexec::job {
namespace {

bool readable(int fd, int timeout_ms) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, timeout_ms) > 0;
}

std::string gap_text(const Gap& gap) {
  return (gap.channel == Channel::kOut ? "out " : "err ") + std::to_string(gap.from) + "-" +
         std::to_string(gap.to) + ";";
}

}  // namespace

// ---- JobView -----------------------------------------------------------------------------------

JobView::JobView(AttemptKey k, os::UniqueFd s, std::uint64_t out_at, std::uint64_t err_at)
    : key(std::move(k)), socket(std::move(s)), reader_(out_at, err_at), buffer_(262144) {}

void JobView::send(const link::ToShim& message) {
  const std::string bytes = link::encode(message);
  while (os::send_message(socket.get(), as_bytes(bytes)) == os::IoStatus::kAgain) step(10);
}

bool JobView::step(int timeout_ms) {
  std::vector<std::uint8_t> bytes(os::kMaxMessage);
  os::Received got;
  got.status = os::IoStatus::kAgain;
  while (got.status == os::IoStatus::kAgain) {
    if (!readable(socket.get(), timeout_ms)) return false;
    got = os::receive_message(socket.get(), bytes);
  }
  if (got.status != os::IoStatus::kDone) {
    closed = true;
    return false;
  }
  const auto message = link::decode_from_shim({bytes.data(), got.size});
  REQUIRE(message);
  std::visit([&](const auto& m) { on(m, got.fds); }, *message);
  if (reading) read_spool();
  return true;
}

void JobView::on(link::State m, std::vector<os::UniqueFd>&) {
  state = m;
  ack = {m.in_offset, m.in_limit};
  started = m.started;
  pid = m.pid;
}
void JobView::on(link::Segment m, std::vector<os::UniqueFd>& fds) {
  REQUIRE(fds.size() == 1);
  reader_.add_segment({m.index, m.out_base, m.err_base, m.seq_base}, std::move(fds[0]));
}
void JobView::on(link::Output m, std::vector<os::UniqueFd>&) {
  output = m;
  reader_.set_limits(m.out_total, m.err_total, m.spool_size);
}
void JobView::on(link::StdinAck m, std::vector<os::UniqueFd>&) { ack = m; }
void JobView::on(link::Started m, std::vector<os::UniqueFd>&) {
  started = true;
  pid = m.pid;
}
void JobView::on(link::Exited m, std::vector<os::UniqueFd>&) { exited = m; }
void JobView::on(link::End m, std::vector<os::UniqueFd>&) {
  auto record = record_from_json(m.record);
  REQUIRE(record);
  end = *record;
}
void JobView::on(link::Held m, std::vector<os::UniqueFd>&) { held = m; }

void JobView::read_spool() {
  bool moved = false;
  while (true) {
    const SpoolItem item = reader_.next(buffer_);
    if (const auto* chunk = std::get_if<Chunk>(&item)) {
      moved = true;
      if (chunk->channel == Channel::kOut) out_bytes += chunk->data.size();
      if (keep_bytes) (chunk->channel == Channel::kOut ? out : err) += as_text(chunk->data);
    } else if (const auto* gap = std::get_if<Gap>(&item)) {
      gaps += gap_text(*gap);
    } else {
      const auto* bad = std::get_if<Corrupt>(&item);
      CHECK_MESSAGE(bad == nullptr, (bad != nullptr ? bad->message : ""));
      break;
    }
  }
  if (moved) {
    const std::string bytes =
        link::encode(link::ToShim{link::Read{reader_.out_offset(), reader_.err_offset(), 0}});
    os::send_message(socket.get(), as_bytes(bytes));
  }
}

void JobView::wait_state() {
  while (!state) REQUIRE(step());
}
void JobView::wait_started() {
  while (!started) REQUIRE(step());
}
void JobView::wait_out(std::string_view text) {
  while (out.find(text) == std::string::npos) REQUIRE_MESSAGE(step(), "output so far: ", out);
}
EndRecord JobView::wait_end() {
  while (!end) REQUIRE_MESSAGE(step(), "no end; output so far: ", out, err);
  if (reading) read_spool();
  socket.reset();
  return *end;
}

// ---- Rig ---------------------------------------------------------------------------------------

Rig::Rig() {
  options.data_dir = dir_.path() + "/data";
  std::filesystem::create_directory(options.data_dir);
  std::filesystem::permissions(options.data_dir, std::filesystem::perms::owner_all);
  options.node_name = "node-t";
  options.allow_users = {"nobody", "root"};
  // A crash of the test must not leave daemons.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

Rig::~Rig() {
  if (spawner_ != 0) kill_spawner();
  kill_net();
  std::error_code ignored;
  const std::string jobs = options.data_dir + "/jobs";
  for (const auto& entry : std::filesystem::directory_iterator(jobs, ignored)) {
    if (!entry.is_directory()) continue;
    const pid_t shim = shim_of(entry.path());
    if (shim != 0) ::kill(shim, SIGKILL);
    if (const auto key = attempt_from_name(entry.path().filename().string()))
      for (const pid_t pid : processes_of(*key)) ::kill(pid, SIGKILL);
  }
}

void Rig::boot() {
  auto pair = os::make_seqpacket_pair(os::Blocking::kYes);
  REQUIRE(pair);
  rig_ = std::move(pair->first);
  rig_spawner_ = std::move(pair->second);
  options.start_net = [this](os::UniqueFd end) -> Result<os::Child> {
    auto child = os::fork_process();
    if (child && child->pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
      os::reset_signals();
      os::close_from(0);
      while (true) ::pause();
    }
    const int fds[] = {end.get()};
    const std::string pid = std::to_string(child->pid);
    os::send_message(rig_spawner_.get(), as_bytes(pid), fds);
    return child;
  };
  spawner_ = ::fork();
  if (spawner_ == 0) {
    rig_.reset();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    ::_exit(run_spawner(options));
  }
  rig_spawner_.reset();
  take_net();
}

void Rig::take_net() {
  REQUIRE(readable(rig_.get(), 15000));
  std::uint8_t text[32];
  os::Received got = os::receive_message(rig_.get(), text);
  REQUIRE(got.fds.size() == 1);
  net_end_ = std::move(got.fds[0]);
  net_ = std::stoi(std::string(as_text({text, got.size})));
}

void Rig::kill_spawner() {
  ::kill(spawner_, SIGKILL);
  ::waitpid(spawner_, nullptr, 0);
  spawner_ = 0;
  net_end_.reset();
}

void Rig::kill_net() {
  if (net_ != 0) ::kill(net_, SIGKILL);
  net_ = 0;
  net_end_.reset();
}

int Rig::end_spawner() {
  ::kill(spawner_, SIGTERM);
  int status = 0;
  ::waitpid(spawner_, &status, 0);
  spawner_ = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

AttemptKey Rig::new_key() const { return {JobId{random_id('j')}, 1}; }

void Rig::send(const link::ToSpawner& message, int fd) {
  const std::string bytes = link::encode(message);
  const std::span<const int> fds(&fd, fd < 0 ? 0 : 1);
  REQUIRE(os::send_message(net_end_.get(), as_bytes(bytes), fds) == os::IoStatus::kDone);
}

void Rig::send_start(const AttemptKey& key, const JobSpec& spec, bool attach) {
  const auto bytes = encode_spec(spec);
  REQUIRE(bytes);
  const auto memfd = os::make_memfd("spec", as_bytes(*bytes));
  REQUIRE(memfd);
  send(link::Start{key, "ticket", "u-0123456789ab", attach}, memfd->get());
}

link::FromSpawner Rig::receive(int timeout_ms) {
  std::vector<std::uint8_t> bytes(os::kMaxMessage);
  REQUIRE(readable(net_end_.get(), timeout_ms));
  os::Received got = os::receive_message(net_end_.get(), bytes);
  REQUIRE(got.status == os::IoStatus::kDone);
  auto message = link::decode_from_spawner({bytes.data(), got.size});
  REQUIRE(message);
  received_fds = std::move(got.fds);
  return *message;
}

void Rig::wait_sync() {
  while (!std::holds_alternative<link::SyncDone>(receive())) {
  }
}

JobView Rig::start(const JobSpec& spec, bool attach) {
  const AttemptKey key = new_key();
  send_start(key, spec, attach);
  return expect_channel(key);
}

JobView Rig::expect_channel(const AttemptKey& key, std::uint64_t out, std::uint64_t err) {
  while (true) {
    const link::FromSpawner message = receive();
    const auto* refused = std::get_if<link::Refused>(&message);
    REQUIRE_MESSAGE(refused == nullptr, (refused != nullptr ? refused->message : ""));
    const auto* channel = std::get_if<link::ShimChannel>(&message);
    if (channel == nullptr || channel->key != key) continue;
    REQUIRE(received_fds.size() == 1);
    return JobView(key, std::move(received_fds[0]), out, err);
  }
}

FinishedView Rig::expect_finished(const AttemptKey& key) {
  while (true) {
    const link::FromSpawner message = receive();
    const auto* finished = std::get_if<link::Finished>(&message);
    if (finished == nullptr || finished->key != key) continue;
    FinishedView view;
    view.message = *finished;
    auto record = record_from_json(finished->record);
    REQUIRE(record);
    view.record = *record;
    SpoolReader reader(0, 0);
    REQUIRE(load_finished(reader, std::move(received_fds), view.record));
    SpoolBuffer buffer(262144);
    while (true) {
      const SpoolItem item = reader.next(buffer);
      if (const auto* chunk = std::get_if<Chunk>(&item))
        (chunk->channel == Channel::kOut ? view.out : view.err) += as_text(chunk->data);
      else if (const auto* gap = std::get_if<Gap>(&item))
        view.gaps += gap_text(*gap);
      else
        break;
    }
    return view;
  }
}

link::Refused Rig::expect_refused(const AttemptKey& key) {
  while (true) {
    const link::FromSpawner message = receive();
    const auto* refused = std::get_if<link::Refused>(&message);
    if (refused != nullptr && refused->key == key) return *refused;
  }
}

std::vector<pid_t> Rig::processes_of(const AttemptKey& key) {
  std::vector<pid_t> pids;
  for (const auto& process : os::list_processes())
    if (process.state != 'Z' && os::has_environment(process.pid, "REXEC_JOB=" + key.job.text))
      pids.push_back(process.pid);
  return pids;
}

pid_t Rig::shim_of(const std::string& job_dir) {
  os::UniqueFd fd(::open(job_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd ? lock_holder(fd.get()) : 0;
}

JobSpec command(std::vector<std::string> argv) {
  JobSpec spec;
  spec.argv = std::move(argv);
  return spec;
}

JobSpec shell(std::string text) { return command({"/bin/sh", "-c", std::move(text)}); }

bool eventually(const std::function<bool()>& condition, int limit_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(limit_ms);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::poll(nullptr, 0, 2);
  }
  return true;
}

}  // namespace rexec::job
