// Who a job runs as: the account asked for, found in the node's files or through getent, and
// whether this node allows it. The node's own veto, whatever the controller says.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.hpp"
#include "src/job/spec/spec.hpp"
#include "src/os/epoll.hpp"
#include "src/os/process.hpp"
#include "src/os/users.hpp"

namespace rexec::job {

struct UserPolicy {
  os::AccountFiles files;
  std::string run_as;                              // empty: the agent's own user
  std::vector<std::string> allow_users;            // "*": any person; see admit_user
  Privileges most_privileges = Privileges::kDrop;  // what a job may ask for at most
};

// The account the spec means; nullopt when the files do not know the name (getent may).
Result<std::optional<os::User>> find_job_user(const JobSpec& spec, const UserPolicy& policy);
// kRefusedByNode or kDenied with the reason; sets the group that was asked for. A star admits no
// account but people's: uid 0 and system accounts must be named. The account of rexec's own network
// process, whose key a job of it could read, must be named in allow_users even as the default.
Result<void> admit_user(const JobSpec& spec, const UserPolicy& policy, os::User& user);
// Whether the job's setuid programs may keep their rights, when it asks for that: on a node that
// allows it, for jobs of the agent's own user. kRefusedByNode otherwise.
Result<void> admit_privileges(const JobSpec& spec, const UserPolicy& policy, const os::User& user);
// The name that find_job_user looked for.
std::string job_user_name(const JobSpec& spec, const UserPolicy& policy);

// Asks `getent passwd` and `getent initgroups`, each a child with a deadline. Calls back once,
// never from inside start().
class GetentLookup {
 public:
  using Done = std::function<void(std::optional<os::User>)>;
  GetentLookup(os::EventLoop& loop, std::string name, Done done);
  ~GetentLookup();

 private:
  struct Query {
    os::Program program;
    os::EventLoop::Token token = 0;
    std::string text;
    bool open = false;
  };
  void run(Query& query, const char* database);
  void read_some(Query& query);
  void finish();

  os::EventLoop& loop_;
  std::string name_;
  Done done_;
  Query passwd_, groups_;
  os::EventLoop::Token deadline_ = 0;
};

}  // namespace rexec::job
