// See job_list.hpp.
#include "src/store/tables/job_list.hpp"

#include "src/store/tables/job_row.hpp"

namespace rexec::store {
namespace {

// One index for each way of asking, named so that no planner guesses: without it a rare node among
// a million rows would be a walk over all.
constexpr const char* kAll =
    "SELECT * FROM jobs INDEXED BY ended_by_time WHERE ended > 0 AND created <= ?1 "
    "ORDER BY created DESC, id DESC";
constexpr const char* kOwner =
    "SELECT * FROM jobs INDEXED BY ended_by_owner WHERE ended > 0 AND created <= ?1 AND "
    "owner = ?2 ORDER BY created DESC, id DESC";
constexpr const char* kNode =
    "SELECT * FROM jobs INDEXED BY ended_by_node WHERE ended > 0 AND created <= ?1 AND "
    "node_name = ?2 ORDER BY created DESC, id DESC";
constexpr const char* kState =
    "SELECT * FROM jobs INDEXED BY ended_by_state WHERE ended > 0 AND created <= ?1 AND "
    "state = ?2 ORDER BY created DESC, id DESC";
constexpr const char* kOwnerNode =
    "SELECT * FROM jobs INDEXED BY ended_by_owner_node WHERE ended > 0 AND created <= ?1 AND "
    "owner = ?2 AND node_name = ?3 ORDER BY created DESC, id DESC";
constexpr const char* kOwnerState =
    "SELECT * FROM jobs INDEXED BY ended_by_owner_state WHERE ended > 0 AND created <= ?1 AND "
    "owner = ?2 AND state = ?3 ORDER BY created DESC, id DESC";
constexpr const char* kNodeState =
    "SELECT * FROM jobs INDEXED BY ended_by_node_state WHERE ended > 0 AND created <= ?1 AND "
    "node_name = ?2 AND state = ?3 ORDER BY created DESC, id DESC";

constexpr int kIdColumn = 0;
constexpr int kStateColumn = 10;
constexpr int kCreatedColumn = 11;

JobPage read_page(Database& db, const JobPageOptions& options, Run& rows) {
  JobPage page;
  std::size_t looked_at = 0;
  while (rows.step()) {
    JobPlace place{rows.integer(kCreatedColumn), rows.text(kIdColumn)};
    if (!options.after.is_before(place)) continue;
    const std::string& state = options.filter.state;
    if (state.empty() || rows.text(kStateColumn) == state) page.rows.push_back(read_job(db, rows));
    if (page.rows.size() < options.limit && ++looked_at < options.most_looked_at) continue;
    page.next = std::move(place);
    break;
  }
  return page;
}

}  // namespace

// Owner, node and state at once have no index of their own: those of the first two are looked at,
// most_looked_at a call.
JobPage list_finished_jobs(Database& db, const JobPageOptions& options) {
  const auto& [owner, node, state] = options.filter;
  const std::int64_t from = options.after.created_ms;
  const auto page = [&](const char* sql, const auto&... values) {
    Run rows(db, sql, from, values...);
    return read_page(db, options, rows);
  };
  if (!owner.empty() && !node.empty()) return page(kOwnerNode, owner.text, node);
  if (!owner.empty() && !state.empty()) return page(kOwnerState, owner.text, state);
  if (!node.empty() && !state.empty()) return page(kNodeState, node, state);
  if (!owner.empty()) return page(kOwner, owner.text);
  if (!node.empty()) return page(kNode, node);
  if (!state.empty()) return page(kState, state);
  return page(kAll);
}

}  // namespace rexec::store
