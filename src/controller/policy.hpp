// Who may do what. Default deny: an administrator may everything, a user may run on every node and
// see and steer what is his own. A foreign job answers like one that does not exist. Pure.
#pragma once

#include "src/controller/hub.hpp"

namespace rexec::controller {

class Policy {
 public:
  explicit Policy(Hub& hub) : hub_(hub) {}
  // kDenied unless the user is an administrator; `what` completes "… needs the role admin".
  Result<void> administer(const std::string& user_id, std::string_view what) const {
    if (hub_.is_admin(user_id)) return {};
    return fail(Code::kDenied, std::string(what) + " needs the role admin",
                "see your role: rexec whoami");
  }
  // The job, if this user may see it.
  Result<Job*> see(const std::string& user_id, const std::string& prefix) const {
    auto job = hub_.jobs().resolve(prefix);
    if (!job) return job;
    if ((*job)->owner.text == user_id || hub_.is_admin(user_id)) return job;
    return fail(Code::kUnknownJob, "no job \"" + prefix + "\"", "see: rexec ps --all");
  }

 private:
  Hub& hub_;
};

}  // namespace rexec::controller
