// See jobs.hpp.
#include "src/store/jobs.hpp"

#include "src/store/sql.hpp"

namespace rexec::store {
namespace {

template <class Use>
auto with_values(const JobRow& row, Use use) {
  return use(row.id.text, row.run.text, std::int64_t{row.attempt}, row.node.text, row.node_name,
             row.owner.text, row.owner_name, row.summary, row.spec_hash, row.request, row.state,
             row.created_ms, row.started_ms, row.ended_ms, row.record, row.ticket,
             std::int64_t{row.mode == JobMode::kDetached});
}

JobRow read(Database& db, Run& from) {
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
  const auto sum = with_values(row, [](const auto&... values) { return row_sum(values...); });
  if (sum != from.integer(17)) reject_damaged_row(db, "jobs", row.id.text);
  return row;
}

auto reader(Database& db) {
  return [&db](Run& from) { return read(db, from); };
}

}  // namespace

std::vector<JobRow> load_jobs(Database& db, std::size_t limit) {
  return query(db, reader(db), "SELECT * FROM jobs ORDER BY created DESC, id LIMIT ?",
               static_cast<std::int64_t>(limit));
}

std::optional<JobRow> find_job(Database& db, const JobId& id) {
  return query_one(db, reader(db), "SELECT * FROM jobs WHERE id = ?", id.text);
}

void put_job(Database& db, const JobRow& job) {
  // Not OR REPLACE: that would move the row to the table's end at each change of state.
  static constexpr const char* kPut =
      "INSERT INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO UPDATE "
      "SET "
      "run = excluded.run, attempt = excluded.attempt, node = excluded.node, "
      "node_name = excluded.node_name, owner = excluded.owner, owner_name = excluded.owner_name, "
      "summary = excluded.summary, spec_hash = excluded.spec_hash, request = excluded.request, "
      "state = excluded.state, created = excluded.created, started = excluded.started, "
      "ended = excluded.ended, record = excluded.record, ticket = excluded.ticket, "
      "detached = excluded.detached, sum = excluded.sum";
  with_values(job, [&](const auto&... values) { run(db, kPut, values..., row_sum(values...)); });
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

void remove_job(Database& db, const JobId& id) {
  run(db, "DELETE FROM jobs WHERE id = ?", id.text);
}

std::vector<JobId> prune_jobs(Database& db, WallTime before, std::size_t limit) {
  auto ids = query(
      db, [](Run& row) { return JobId{row.text(0)}; },
      "SELECT id FROM jobs WHERE ended > 0 AND ended < ? ORDER BY ended LIMIT ?", before,
      static_cast<std::int64_t>(limit));
  for (const JobId& id : ids) remove_job(db, id);
  return ids;
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

std::size_t prune_specs(Database& db) {
  return static_cast<std::size_t>(
      run(db,
          "DELETE FROM specs WHERE NOT EXISTS (SELECT 1 FROM jobs "
          "WHERE spec_hash = hash AND state IN ('accepted', 'dispatched'))"));
}

}  // namespace rexec::store
