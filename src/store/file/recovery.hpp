// What a copy does not know of the time since it was taken. A token that was open then may have
// been spent, so every open one is void. Whoever was revoked or removed since is still welcome in
// the copy: the former database, where it is there, says who, and that is done again; the rest is
// told. Called by restore_from on the copy before it takes the place of the former database.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

struct Recovery {
  WallTime copied;  // the copy's newest audit row: what came later it lacks
  std::size_t tokens_voided = 0;
  std::size_t jobs_unfinished = 0;
  // From the former database.
  bool has_former = false;   // it has all that the copy has, and knows what came after
  std::string former_error;  // why it could not be read
  std::vector<std::string> users_revoked;   // again, by name
  std::vector<std::string> users_kept;      // revoked since, but the last admin of the copy
  std::vector<std::string> nodes_removed;   // again, by name
  std::size_t jobs_removed = 0;             // again
  std::vector<std::string> users_unknown;   // came since: they have to sign in again
  std::vector<std::string> nodes_unknown;   // joined since: they have to join again
  std::vector<std::string> schedules_back;  // dropped or paused since: they fire again
};

// `former`: nullptr when there is none. Each change has its audit row; so has the restore itself,
// from `source`. Inside one transaction of the caller's.
Recovery recover(Database& copy, Database* former, const std::string& source, WallTime now);

}  // namespace rexec::store
