// See identity.hpp.
#include "src/job/spawner/identity.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/base/clock.hpp"
#include "src/base/text.hpp"

namespace rexec::job {
namespace {

constexpr Nanos kGetentDeadline = std::chrono::seconds(5);
constexpr std::size_t kMaxGetentText = 64 << 10;

bool listed(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// By uid: an account may have several names.
bool is_daemon(const UserPolicy& policy, const os::User& user) {
  const auto daemon = os::find_user(policy.files, os::kDaemonUser);
  return user.name == os::kDaemonUser || (daemon && *daemon && (*daemon)->uid == user.uid);
}

Result<void> check_allowed(const UserPolicy& policy, const os::User& user) {
  const std::string shown = printable(user.name);
  if (::geteuid() != 0) {
    if (user.uid == ::geteuid()) return {};
    return fail(Code::kRefusedByNode,
                "the agent does not run as root, so it cannot run jobs as " + shown);
  }
  const bool is_default = policy.run_as.empty() ? user.uid == 0 : user.name == policy.run_as;
  if (listed(policy.allow_users, user.name)) return {};
  const bool has_star = listed(policy.allow_users, "*");
  if ((is_default || has_star) && is_daemon(policy, user))
    return fail(Code::kRefusedByNode,
                "jobs do not run as " + shown + ", which owns the keys of rexec itself",
                "on the node: name it in allow_users of agent.toml to allow it all the same");
  if (is_default) return {};
  if (has_star && !os::is_system_account(policy.files, user.uid)) return {};
  if (has_star)
    return fail(
        Code::kRefusedByNode,
        "this node allows jobs to run as any person, and " + shown + " is an account of the system",
        "on the node: name it in allow_users of agent.toml");
  return fail(Code::kRefusedByNode, "this node does not allow jobs to run as " + shown,
              "on the node: rexec join --run-as, or its list of allowed users");
}

Result<void> check_account(const UserPolicy& policy, const os::User& user) {
  if (::geteuid() != 0 || user.uid == 0) return {};
  const auto now = std::chrono::duration_cast<std::chrono::hours>(wall_now().time_since_epoch());
  const long today = static_cast<long>(now.count() / 24);
  switch (os::account_state(policy.files, user.name, today)) {
    case os::AccountState::kUsable:
      return {};
    case os::AccountState::kLocked:
      return fail(Code::kRefusedByNode, "the account " + printable(user.name) + " is locked");
    case os::AccountState::kExpired:
      break;
  }
  return fail(Code::kRefusedByNode, "the account " + printable(user.name) + " has expired");
}

}  // namespace

std::string job_user_name(const JobSpec& spec, const UserPolicy& policy) {
  return spec.user.empty() ? policy.run_as : spec.user;
}

Result<std::optional<os::User>> find_job_user(const JobSpec& spec, const UserPolicy& policy) {
  const std::string name = job_user_name(spec, policy);
  if (!name.empty()) return os::find_user(policy.files, name);
  auto own = os::find_user(policy.files, ::geteuid());
  if (!own || *own) return own;
  // An account without an entry, as in containers: it works, with little to say about itself.
  os::User user{std::to_string(::geteuid()), ::geteuid(), ::getegid(), "/", "/bin/sh", {}};
  user.groups = {user.gid};
  return user;
}

Result<void> admit_user(const JobSpec& spec, const UserPolicy& policy, os::User& user) {
  if (auto allowed = check_allowed(policy, user); !allowed) return allowed;
  if (auto usable = check_account(policy, user); !usable) return usable;
  if (spec.group.empty()) return {};
  const auto gid = os::find_group(policy.files, spec.group);
  if (!gid) return std::unexpected(gid.error());
  if (!*gid) return fail(Code::kRefusedByNode, "no group " + printable(spec.group) + " here");
  if (std::find(user.groups.begin(), user.groups.end(), **gid) == user.groups.end())
    return fail(Code::kRefusedByNode,
                printable(user.name) + " is not a member of the group " + printable(spec.group));
  if (::geteuid() != 0 && **gid != ::getegid())
    return fail(Code::kRefusedByNode, "the agent does not run as root, so it cannot change groups");
  user.gid = **gid;
  return {};
}

Result<void> admit_privileges(const JobSpec& spec, const UserPolicy& policy, const os::User& user) {
  if (spec.privileges == Privileges::kDrop) return {};
  const std::string asked = "--privileges keep";
  if (policy.most_privileges == Privileges::kDrop)
    return fail(Code::kRefusedByNode,
                "this node does not allow " + asked +
                    ": its owner does with privileges = \"keep\" in agent.toml");
  if (user.uid != ::geteuid())
    return fail(Code::kRefusedByNode, asked + " is for jobs of the agent's own user, and not for " +
                                          printable(user.name));
  // What the agent itself may not do no job of it can.
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
    return fail(Code::kRefusedByNode, asked +
                                          ": the agent was started without the right to new "
                                          "privileges (NoNewPrivileges= of its unit)");
  return {};
}

GetentLookup::GetentLookup(os::EventLoop& loop, std::string name, Done done)
    : loop_(loop), name_(std::move(name)), done_(std::move(done)) {
  run(passwd_, "passwd");
  run(groups_, "initgroups");
  // Also when neither could be run: nobody is called back from a constructor.
  const bool any = passwd_.open || groups_.open;
  deadline_ = loop_.after(any ? kGetentDeadline : Nanos(0), [this] { finish(); });
}

GetentLookup::~GetentLookup() {
  loop_.cancel(deadline_);
  for (Query* query : {&passwd_, &groups_}) {
    loop_.forget(query->token);
    if (!query->program.child.pidfd) continue;
    os::send_signal(query->program.child.pidfd.get(), SIGKILL);
    os::reap_killed(query->program.child.pidfd.get());
  }
}

void GetentLookup::run(Query& query, const char* database) {
  const char* path = ::access("/usr/bin/getent", X_OK) == 0 ? "/usr/bin/getent" : "/bin/getent";
  auto program = os::run_program({path, database, "--", name_}, {"PATH=/usr/bin:/bin"});
  if (!program) return;
  query.program = std::move(*program);
  query.open = true;
  query.token = loop_.watch(query.program.output.get(), EPOLLIN,
                            [this, &query](std::uint32_t) { read_some(query); });
}

void GetentLookup::read_some(Query& query) {
  char block[4096];
  const ssize_t n = ::read(query.program.output.get(), block, sizeof(block));
  if (n < 0 && errno == EINTR) return;
  if (n > 0 && query.text.size() < kMaxGetentText) {
    query.text.append(block, static_cast<std::size_t>(n));
    return;
  }
  loop_.forget(query.token);
  query.open = false;
  if (!passwd_.open && !groups_.open) finish();
}

void GetentLookup::finish() {
  std::optional<os::User> user;
  if (!passwd_.open) user = os::parse_getent_passwd(passwd_.text);
  if (user && !groups_.open) os::parse_getent_initgroups(groups_.text, *user);
  const Done done = std::move(done_);  // which may destroy this
  done(std::move(user));
}

}  // namespace rexec::job
