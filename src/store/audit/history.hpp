// Whether this database is a continuation of what somebody saw of it before: agents remember the
// run of the controller, its commits and the head of the audit chain, so a database that was put
// back from an older copy is noticed whatever it did since (FAULTS A25). Written by the engine with
// each commit that changes something; asked by src/controller when a node reconciles.
#pragma once

#include <cstdint>
#include <string>

#include "src/store/audit/audit.hpp"

namespace rexec::store {

struct Seen {
  std::string run;            // empty: nothing was seen yet
  std::uint64_t commits = 0;  // of that run, that were told of
  AuditHead audit;            // seq 0: none
};

void begin_run(Database& db, const std::string& run, WallTime now);
void count_commit(Database& db, const std::string& run);
// Why `seen` is not of this history; empty when it is, or when somebody has accepted its run.
std::string contradiction(Database& db, const Seen& seen);
// From now on whatever is said to have been seen of that run is taken for true.
void accept_run(Database& db, const std::string& run, WallTime now);

}  // namespace rexec::store
