// See journal.hpp.
#include "src/job/shim/journal.hpp"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <cerrno>

#include "src/base/clock.hpp"
#include "src/base/fail_point.hpp"
#include "src/job/shim/child.hpp"
#include "src/os/pty.hpp"
#include "src/os/seqpacket.hpp"

namespace rexec::job {
namespace {

// The child's ends; closed in the shim once the child has them.
struct ChildSide {
  os::UniqueFd in, out, err, go, report;
};
struct ShimSide {
  os::UniqueFd in, out, err, go, report, terminal;
};

Result<void> claim(int dir_fd) {
  if (!take_lock(dir_fd)) return fail(Code::kConflict, "another shim has the attempt");
  // The lock is ours now, but was it somebody's a moment ago, who started the attempt and died?
  for (const char* name : {"exit", "started"})
    if (::faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return fail(Code::kConflict, "the attempt was started before");
  return {};
}

Result<void> copy_part(int dir_fd, const char* name, int plan, std::uint64_t at, std::uint64_t size,
                       os::Sync sync) {
  auto file = os::create_file_at(dir_fd, name);
  if (!file) return std::unexpected(file.error());
  off_t offset = static_cast<off_t>(at);
  const off_t end = static_cast<off_t>(at + size);
  while (offset < end) {
    const ssize_t n =
        ::sendfile(file->get(), plan, &offset, static_cast<std::size_t>(end - offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno(name, n < 0 ? errno : EIO);
  }
  if (sync == os::Sync::kYes && ::fdatasync(file->get()) != 0) return fail_errno(name, errno);
  return {};
}

Result<void> open_pair(os::UniqueFd& reading, os::UniqueFd& writing) {
  auto pipe = os::make_pipe();
  if (!pipe) return std::unexpected(pipe.error());
  reading = std::move(pipe->read_end);
  writing = std::move(pipe->write_end);
  return {};
}

Result<void> open_terminal(const ShimPlan& plan, ChildSide& child, ShimSide& shim) {
  auto pty = os::open_pty({plan.rows, plan.cols}, plan.uid, plan.terminal_modes);
  if (!pty) return std::unexpected(pty.error());
  child.in = std::move(pty->slave);
  shim.in.reset(::fcntl(pty->master.get(), F_DUPFD_CLOEXEC, 3));
  shim.out.reset(::fcntl(pty->master.get(), F_DUPFD_CLOEXEC, 3));
  shim.terminal = std::move(pty->master);
  return {};
}

// The job's user owns its pipes, so that it may open them again by name (/dev/stdout), as after
// ssh.
Result<void> give_to_user(const ShimPlan& plan, const ChildSide& child) {
  if (::geteuid() != 0) return {};
  for (const os::UniqueFd* fd : {plan.forward_stdin ? &child.in : nullptr, &child.out, &child.err})
    if (fd != nullptr && ::fchown(fd->get(), plan.uid, static_cast<gid_t>(-1)) != 0)
      return fail_errno("giving a pipe to the job's user", errno);
  return {};
}

Result<void> open_pipes(const ShimPlan& plan, ChildSide& child, ShimSide& shim) {
  if (plan.forward_stdin) {
    if (auto made = open_pair(child.in, shim.in); !made) return made;
    os::set_blocking(shim.in.get(), os::Blocking::kNo);
  } else {
    child.in.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!child.in) return fail_errno("/dev/null", errno);
  }
  if (auto made = open_pair(shim.out, child.out); !made) return made;
  if (auto made = open_pair(shim.err, child.err); !made) return made;
  os::set_blocking(shim.out.get(), os::Blocking::kNo);
  os::set_blocking(shim.err.get(), os::Blocking::kNo);
  return give_to_user(plan, child);
}

Result<void> open_channels(const ShimPlan& plan, ChildSide& child, ShimSide& shim) {
  auto opened = plan.tty ? open_terminal(plan, child, shim) : open_pipes(plan, child, shim);
  if (!opened) return opened;
  if (auto made = open_pair(child.go, shim.go); !made) return made;
  if (auto made = open_pair(shim.report, child.report); !made) return made;
  return os::set_blocking(shim.report.get(), os::Blocking::kNo);
}

Result<os::Child> fork_job(const ChildSide& side, const ShimOrder& order, const ShimPlan& plan,
                           const LaunchParts& parts, const os::Cgroup* cgroup) {
  auto child = os::fork_process(cgroup != nullptr ? cgroup->fd() : -1);
  // Somebody removed the cgroup while it was empty: the subreaper alone must do.
  if (!child && cgroup != nullptr) child = os::fork_process();
  if (!child || child->pid != 0) return child;
  // With a terminal one descriptor serves as all three.
  const int in = side.in.get();
  const ChildFds fds{in,
                     plan.tty ? in : side.out.get(),
                     plan.tty ? in : side.err.get(),
                     side.go.get(),
                     side.report.get(),
                     order.plan.get()};
  become_job(fds, plan.tty ? Terminal::kYes : Terminal::kNo, parts);
}

Result<void> listen(ShimOrder& order, StartedJob& job) {
  job.listener = std::move(order.listener);
  if (job.listener) return {};
  auto listener = os::listen_seqpacket(order.directory.get(), "sock");
  if (!listener) return std::unexpected(listener.error());
  job.listener = std::move(*listener);
  return {};
}

Result<StartedRecord> write_started(const ShimOrder& order, const os::Child& child,
                                    const ShimPlan& plan, const os::Cgroup* cgroup) {
  StartedRecord record;
  record.boot_id = os::boot_id();
  record.pid = static_cast<std::uint32_t>(child.pid);
  record.start_ticks = os::start_ticks(child.pid).value_or(0);
  record.wall_ms = static_cast<std::uint64_t>(wall_now().time_since_epoch().count());
  record.uid = plan.uid;
  record.link = link::kVersion;
  if (cgroup != nullptr) record.cgroup = cgroup->path();
  if (!plan.script_dir.empty()) record.script_path = plan.script_dir + "/" + plan.script_name;
  const auto sync = plan.durable ? os::Sync::kYes : os::Sync::kNo;
  auto written =
      os::replace_file_at(order.directory.get(), "started", as_bytes(to_text(record)), sync);
  // The attempt's own name in jobs/ must last too.
  if (written && plan.durable && ::fsync(order.jobs) != 0) written = fail_errno("fsync", errno);
  if (!written) return std::unexpected(written.error());
  return record;
}

}  // namespace

Result<StartedJob> start_attempt(ShimOrder& order, const ShimPlan& plan, const LaunchParts& parts,
                                 const os::Cgroup* cgroup) {
  const int dir = order.directory.get();
  if (!order.listener) {
    if (auto claimed = claim(dir); !claimed) return std::unexpected(claimed.error());
    if (!reserve_record(dir)) return fail(Code::kIo, "its disk is full");
  }
  // After a power loss nobody starts this attempt again, so its spec may be lost with it; a next
  // attempt needs it.
  const auto sync = plan.durable && plan.restarts ? os::Sync::kYes : os::Sync::kNo;
  auto copied = copy_part(dir, "spec", order.plan.get(), parts.spec_at, parts.spec_size, sync);
  fail_point(FailPoint::kShimSpecCopied);
  if (copied)
    copied = copy_part(dir, "meta", order.plan.get(), parts.meta_at, parts.meta_size, sync);
  if (!copied) return std::unexpected(copied.error());
  fail_point(FailPoint::kShimMetaCopied);
  StartedJob job;
  if (auto listening = listen(order, job); !listening) return std::unexpected(listening.error());
  ChildSide child_side;
  ShimSide shim_side;
  if (auto opened = open_channels(plan, child_side, shim_side); !opened)
    return std::unexpected(opened.error());
  auto child = fork_job(child_side, order, plan, parts, cgroup);
  if (!child) return std::unexpected(child.error());
  job.leader = std::move(*child);
  fail_point(FailPoint::kShimForked);
  // From here on a failure needs no kill: without leave the child exits by itself.
  if (auto joined = order.limits.join(job.leader.pid); !joined)
    return std::unexpected(joined.error());
  fail_point(FailPoint::kShimJoined);
  auto record = write_started(order, job.leader, plan, cgroup);
  if (!record) return std::unexpected(record.error());
  fail_point(FailPoint::kShimStartedWritten);
  job.record = *record;
  job.began = BootClock::now();
  // Fails when the child has given up already; `report` says why.
  (void)os::write_all(shim_side.go.get(), as_bytes("g"));
  fail_point(FailPoint::kShimGoSent);
  job.report = std::move(shim_side.report);
  job.out = std::move(shim_side.out);
  job.err = std::move(shim_side.err);
  job.in = std::move(shim_side.in);
  job.terminal = std::move(shim_side.terminal);
  return job;
}

}  // namespace rexec::job
