// People as the hub knows them: who is there, who is an administrator, and what the end of one
// ends. Part of the hub.
#include "src/controller/state/hub.hpp"

namespace rexec::controller {

const store::UserRow* Hub::user(const std::string& id) const {
  const auto at = users_.find(id);
  return at == users_.end() ? nullptr : &at->second;
}

bool Hub::is_admin(const std::string& user_id) const {
  const auto* row = user(user_id);
  return row != nullptr && !row->revoked && row->role == store::UserRole::kAdmin;
}

bool Hub::is_live_user(const UserId& id) const {
  const auto* row = user(id.text);
  return row != nullptr && !row->revoked;
}

void Hub::forget_user(const std::string& id) {
  const auto at = users_.find(id);
  if (at != users_.end()) at->second.revoked = wall_now();
  end_sessions(
      pki::Role::kUser, id,
      {Code::kRevoked, "your certificate was revoked", "ask an administrator for a new token"});
  schedules_.fleet_changed();
  dispatcher_.end_orphans();
  for (const auto& [place, job] : jobs_.newest_first()) end_restarts(*job);
}

}  // namespace rexec::controller
