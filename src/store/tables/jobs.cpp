// See jobs.hpp.
#include "src/store/tables/jobs.hpp"

#include <SQLiteCpp/Column.h>

#include "src/store/tables/attempts.hpp"
#include "src/store/tables/job_row.hpp"
#include "src/store/tables/stops.hpp"
#include "src/store/tables/terms.hpp"

namespace rexec::store {
namespace {

template <class Use>
auto with_values(const JobRow& row, Use use) {
  return use(row.id.text, row.run.text, std::int64_t{row.attempt}, row.node.text, row.node_name,
             row.owner.text, row.owner_name, row.summary, row.spec_hash, row.request, row.state,
             row.created_ms, row.started_ms, row.ended_ms, row.record, row.ticket,
             std::int64_t{row.mode == JobMode::kDetached});
}

// `keyed` came with a later schema: rows from before have a sum without it.
std::int64_t sum_of(const JobRow& row) {
  return with_values(row, [&](const auto&... values) {
    return row.keyed ? row_sum(values..., std::int64_t{1}) : row_sum(values...);
  });
}

}  // namespace

JobRow read_job(Database& db, Run& from) {
  JobRow row;
  row.id.text = from.text(0);
  row.run.text = from.text(1);
  row.attempt = static_cast<std::uint32_t>(from.integer(2));
  row.node.text = from.text(3);
  row.node_name = from.text(4);
  row.owner.text = from.text(5);
  row.owner_name = from.text(6);
  row.summary = from.text(7);
  row.spec_hash = from.text(8);
  row.request = from.text(9);
  row.state = from.text(10);
  row.created_ms = from.integer(11);
  row.started_ms = from.integer(12);
  row.ended_ms = from.integer(13);
  row.record = from.text(14);
  row.ticket = from.text(15);
  row.mode = from.integer(16) == 1 ? JobMode::kDetached : JobMode::kAttached;
  row.keyed = from.integer(18) == 1;
  if (sum_of(row) != from.integer(17)) reject_damaged_row(db, "jobs", row.id.text);
  return row;
}

namespace {

auto reader(Database& db) {
  return [&db](Run& from) { return read_job(db, from); };
}

// The spec of a job that was just removed. The `+` keeps SQLite from putting the hash into the
// index's expression, which would then be no term of an index any more but a walk over all jobs.
void drop_unused_spec(Database& db, const std::string& hash) {
  run(db,
      "DELETE FROM specs WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM jobs "
      "WHERE substr(spec_hash, 1, 16) = substr(?1, 1, 16) AND +spec_hash = ?1)",
      hash);
}

// The owner of one of the jobs that have it; empty: there is none.
UserId owner_of_spec(Database& db, const std::string& hash) {
  const auto owner = query_one(
      db, [](Run& row) { return row.text(0); },
      "SELECT owner FROM jobs WHERE substr(spec_hash, 1, 16) = substr(?1, 1, 16) AND "
      "+spec_hash = ?1 LIMIT 1",
      hash);
  return {owner.value_or("")};
}

}  // namespace

std::vector<JobRow> load_unfinished_jobs(Database& db) {
  return query(db, reader(db), "SELECT * FROM jobs WHERE ended = 0 ORDER BY created, id");
}

std::vector<JobRow> find_jobs_of_request(Database& db, const UserId& owner,
                                         const std::string& request) {
  return query(db, reader(db), "SELECT * FROM jobs WHERE request = ? AND owner = ?", request,
               owner.text);
}

std::vector<JobRow> find_jobs_by_prefix(Database& db, const std::string& prefix,
                                        const UserId& owner, std::size_t limit) {
  const std::string last = prefix + "~";  // above every character of an id
  return query(db, reader(db),
               "SELECT * FROM jobs WHERE id >= ?1 AND id < ?2 AND (?3 = '' OR owner = ?3) LIMIT ?4",
               prefix, last, owner.text, static_cast<std::int64_t>(limit));
}

std::optional<JobRow> find_job(Database& db, const JobId& id) {
  return query_one(db, reader(db), "SELECT * FROM jobs WHERE id = ?", id.text);
}

void put_job(Database& db, const JobRow& job) {
  // Not OR REPLACE: that would move the row to the table's end at each change of state.
  static constexpr const char* kPut =
      "INSERT INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO "
      "UPDATE SET "
      "run = excluded.run, attempt = excluded.attempt, node = excluded.node, "
      "node_name = excluded.node_name, owner = excluded.owner, owner_name = excluded.owner_name, "
      "summary = excluded.summary, spec_hash = excluded.spec_hash, request = excluded.request, "
      "state = excluded.state, created = excluded.created, started = excluded.started, "
      "ended = excluded.ended, record = excluded.record, ticket = excluded.ticket, "
      "detached = excluded.detached, sum = excluded.sum, keyed = excluded.keyed";
  with_values(job, [&](const auto&... values) {
    run(db, kPut, values..., sum_of(job), std::int64_t{job.keyed});
  });
}

Inserted insert_job(Database& db, const JobRow& job) {
  const auto there = find_job(db, job.id);
  if (!there) {
    put_job(db, job);
    return Inserted::kYes;
  }
  if (there->spec_hash != job.spec_hash) {
    reject(Code::kConflict, "this request was made before with another command: " + job.id.text);
  }
  return Inserted::kAlready;
}

void update_job(Database& db, const JobRow& job) {
  auto row = find_job(db, job.id);
  if (!row) reject(Code::kUnknownJob, "no job " + job.id.text);
  row->attempt = job.attempt;
  row->node_name = job.node_name;
  row->state = job.state;
  row->started_ms = job.started_ms;
  row->ended_ms = job.ended_ms;
  row->record = job.record;
  row->ticket = job.ticket;
  put_job(db, *row);
}

std::optional<FreedJob> remove_job(Database& db, const JobId& id) {
  std::optional<FreedJob> freed;
  if (auto job = measure_ended_job(db, id)) freed = FreedJob{std::move(*job), {}};
  const auto hash = query_one(
      db, [](Run& row) { return row.text(0); }, "DELETE FROM jobs WHERE id = ? RETURNING spec_hash",
      id.text);
  remove_attempts(db, id);
  if (hash) drop_unused_spec(db, *hash);
  if (freed && freed->job.spec != 0) freed->keeper = owner_of_spec(db, *hash);
  remove_terms(db, id);
  remove_stop(db, id);
  return freed;
}

Pruned prune_jobs(Database& db, const PruneJobs& which) {
  struct Old {
    JobId id;
    UserId owner;
    std::string request;
  };
  const auto old = query(
      db, [](Run& row) { return Old{{row.text(0)}, {row.text(1)}, row.text(2)}; },
      "SELECT id, owner, request FROM jobs WHERE ended > 0 AND ended < ? AND (keyed = 0 OR "
      "ended < ?) ORDER BY ended LIMIT ?",
      which.before, which.keyed_before, static_cast<std::int64_t>(which.limit));
  Pruned gone;
  gone.more = old.size() == which.limit;
  std::uint64_t bytes = 0;
  for (const Old& job : old) {
    if (bytes >= which.bytes) {
      gone.more = true;
      break;
    }
    if (auto freed = remove_job(db, job.id)) {
      bytes += freed->job.bytes + freed->job.spec_bytes;
      gone.freed.push_back(std::move(*freed));
    }
    gone.ids.push_back(job.id);
    if (!is_request_known(db, job.owner, job.request))
      gone.keys.push_back(request_key(job.owner, job.request));
  }
  return gone;
}

void put_spec(Database& db, const std::string& spec_hash, std::string_view spec) {
  run(db, "INSERT OR IGNORE INTO specs VALUES (?,?,?)", spec_hash, Blob{spec},
      row_sum(spec_hash, Blob{spec}));
}

std::optional<std::string> find_spec(Database& db, const std::string& spec_hash) {
  Run row(db, "SELECT spec, sum FROM specs WHERE hash = ?", spec_hash);
  if (!row.step()) return std::nullopt;
  std::string spec = row.text(0);
  if (row_sum(spec_hash, Blob{spec}) != row.integer(1)) reject_damaged_row(db, "specs", spec_hash);
  return spec;
}

std::uint64_t spec_bytes(Database& db, const std::string& spec_hash) {
  const auto size = query_one(
      db, [](Run& row) { return row.integer(0); }, "SELECT length(spec) FROM specs WHERE hash = ?",
      spec_hash);
  return static_cast<std::uint64_t>(size.value_or(0));
}

bool is_request_known(Database& db, const UserId& owner, const std::string& request) {
  return query_one(
             db, [](Run& row) { return row.integer(0); },
             "SELECT 1 FROM jobs WHERE request = ?1 AND owner = ?2 UNION ALL "
             "SELECT 1 FROM removed_keys WHERE request = ?1 AND owner = ?2 LIMIT 1",
             request, owner.text)
      .has_value();
}

std::uint64_t request_key(const UserId& owner, const std::string& request) {
  return static_cast<std::uint64_t>(row_sum(owner.text, request));
}

// From the index alone, which a million rows make some 60 MB; SQLiteCpp's columns would copy each.
std::vector<std::uint64_t> load_request_keys(Database& db) {
  SQLite::Statement& rows = db.statement("SELECT owner, request FROM jobs");
  std::vector<std::uint64_t> keys;
  const auto text = [&rows](int column) {
    const SQLite::Column value = rows.getColumn(column);
    return std::string_view(value.getText(), static_cast<std::size_t>(value.getBytes()));
  };
  while (rows.executeStep()) keys.push_back(static_cast<std::uint64_t>(row_sum(text(0), text(1))));
  rows.tryReset();
  return keys;
}

}  // namespace rexec::store
