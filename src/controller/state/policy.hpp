// Who may do what. Default deny: an administrator may everything, a user may run on every node and
// see and steer what is his own: whose jobs are whose is Hub::find_job's. Pure.
#pragma once

#include <algorithm>

#include "src/controller/state/hub.hpp"

namespace rexec::controller {

// One user's or node's sessions: a quarter of what there may be, so that nobody keeps the others
// out.
constexpr std::size_t most_sessions(std::size_t descriptors) {
  return std::max<std::size_t>(descriptors / 4, 16);
}

class Policy {
 public:
  explicit Policy(Hub& hub) : hub_(hub) {}
  // kDenied unless the user is an administrator; `what` completes "… needs the role admin".
  Result<void> administer(const std::string& user_id, std::string_view what) const {
    if (hub_.is_admin(user_id)) return {};
    return fail(Code::kDenied, std::string(what) + " needs the role admin",
                "see your role: rexec whoami");
  }

 private:
  Hub& hub_;
};

}  // namespace rexec::controller
