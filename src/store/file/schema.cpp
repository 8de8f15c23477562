// See schema.hpp.
#include "src/store/file/schema.hpp"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>

#include <array>
#include <string>

#include "src/base/fail_point.hpp"
#include "src/store/file/backup.hpp"

namespace rexec::store {
namespace {

// WITHOUT ROWID where the key is the row; jobs are wide, so they keep theirs. `sum` is sql.hpp's
// row checksum.
constexpr const char* kFirst = R"sql(
CREATE TABLE nodes (id TEXT PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL,
  serial TEXT NOT NULL, enrolled INTEGER NOT NULL, run_as TEXT NOT NULL, removed INTEGER,
  sum INTEGER NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX nodes_by_name ON nodes (name) WHERE removed IS NULL;
CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL,
  created INTEGER NOT NULL, revoked INTEGER, sum INTEGER NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX users_by_name ON users (name) WHERE revoked IS NULL;
CREATE TABLE certificates (serial TEXT PRIMARY KEY, role TEXT NOT NULL, id TEXT NOT NULL,
  key_hash TEXT NOT NULL, issued INTEGER NOT NULL, not_after INTEGER NOT NULL, revoked INTEGER,
  sum INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX certificates_by_id ON certificates (id);
CREATE TABLE tokens (id TEXT PRIMARY KEY, kind INTEGER NOT NULL, secret BLOB NOT NULL,
  name TEXT NOT NULL, user_role TEXT NOT NULL, labels TEXT NOT NULL, replaces INTEGER NOT NULL,
  created_by TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL,
  spent_by TEXT NOT NULL, spent_id TEXT NOT NULL, spent_from TEXT NOT NULL,
  spent_certificate BLOB NOT NULL, revoked INTEGER, sum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE jobs (id TEXT PRIMARY KEY, run TEXT NOT NULL, attempt INTEGER NOT NULL,
  node TEXT NOT NULL, node_name TEXT NOT NULL, owner TEXT NOT NULL, owner_name TEXT NOT NULL,
  summary TEXT NOT NULL, spec_hash TEXT NOT NULL, request TEXT NOT NULL, state TEXT NOT NULL,
  created INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL,
  record TEXT NOT NULL, ticket TEXT NOT NULL, detached INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE INDEX jobs_by_end ON jobs (ended) WHERE ended > 0;
CREATE INDEX jobs_that_wait ON jobs (spec_hash) WHERE state IN ('accepted', 'dispatched');
CREATE TABLE specs (hash TEXT PRIMARY KEY, spec BLOB NOT NULL, sum INTEGER NOT NULL);
CREATE TABLE audit (seq INTEGER PRIMARY KEY, wall INTEGER NOT NULL, actor TEXT NOT NULL,
  verb TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL, previous TEXT NOT NULL,
  hash TEXT NOT NULL);
)sql";

// Finished jobs are answered from here (job_list.hpp), by the ways people ask for them. Partial: an
// unfinished job's row costs none of these.
constexpr const char* kFinishedJobs = R"sql(
ALTER TABLE jobs ADD COLUMN keyed INTEGER NOT NULL DEFAULT 0;
DROP INDEX jobs_that_wait;
CREATE INDEX jobs_unfinished ON jobs (created) WHERE ended = 0;
CREATE INDEX jobs_by_request ON jobs (request, owner);
CREATE INDEX jobs_by_run ON jobs (run) WHERE run <> '';
CREATE INDEX jobs_by_spec ON jobs (substr(spec_hash, 1, 16));
CREATE INDEX ended_by_time ON jobs (created) WHERE ended > 0;
CREATE INDEX ended_by_owner ON jobs (owner, created) WHERE ended > 0;
CREATE INDEX ended_by_node ON jobs (node_name, created) WHERE ended > 0;
CREATE INDEX ended_by_state ON jobs (state, created) WHERE ended > 0;
CREATE INDEX ended_by_owner_node ON jobs (owner, node_name, created) WHERE ended > 0;
CREATE INDEX ended_by_owner_state ON jobs (owner, state, created) WHERE ended > 0;
CREATE INDEX ended_by_node_state ON jobs (node_name, state, created) WHERE ended > 0;
)sql";

// What a job waits for before it starts.
constexpr const char* kTerms = R"sql(
CREATE TABLE terms (job TEXT PRIMARY KEY, terms TEXT NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID;
)sql";

constexpr const char* kSchedules = R"sql(
CREATE TABLE schedules (id TEXT PRIMARY KEY, name TEXT NOT NULL, owner TEXT NOT NULL,
  owner_name TEXT NOT NULL, targets TEXT NOT NULL, kind TEXT NOT NULL, rule TEXT NOT NULL,
  zone TEXT NOT NULL, overlap TEXT NOT NULL, catch_up TEXT NOT NULL, jitter INTEGER NOT NULL,
  spec BLOB NOT NULL, summary TEXT NOT NULL, created INTEGER NOT NULL, since INTEGER NOT NULL,
  revision INTEGER NOT NULL, paused INTEGER NOT NULL, sum INTEGER NOT NULL);
CREATE UNIQUE INDEX schedules_by_name ON schedules (name);
)sql";

// How the attempts of restarted jobs ended.
constexpr const char* kAttempts = R"sql(
CREATE TABLE attempts (job TEXT NOT NULL, attempt INTEGER NOT NULL, record TEXT NOT NULL,
  sum INTEGER NOT NULL, PRIMARY KEY (job, attempt)) WITHOUT ROWID;
)sql";

// One row for each run of a controller on this database, with how many commits it made: what was
// seen of a run that is not here, or of more commits than it has here, was not of this history.
constexpr const char* kRuns = R"sql(
CREATE TABLE runs (id TEXT PRIMARY KEY, started INTEGER NOT NULL, commits INTEGER NOT NULL,
  sum INTEGER NOT NULL) WITHOUT ROWID;
)sql";

// What is left of a job with an idempotency key that was removed.
constexpr const char* kRemovedKeys = R"sql(
CREATE TABLE removed_keys (owner TEXT NOT NULL, request TEXT NOT NULL, job TEXT NOT NULL,
  removed INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (owner, request)) WITHOUT ROWID;
CREATE INDEX removed_keys_by_time ON removed_keys (removed);
)sql";

// What is left of any job that was removed.
constexpr const char* kRemovedJobs = R"sql(
CREATE TABLE removed_jobs (id TEXT PRIMARY KEY, removed INTEGER NOT NULL,
  sum INTEGER NOT NULL) WITHOUT ROWID;
)sql";

// Stops that were accepted and not carried out yet; -1: with the job's own grace.
constexpr const char* kStops = R"sql(
CREATE TABLE stops (job TEXT PRIMARY KEY, grace INTEGER NOT NULL, sum INTEGER NOT NULL)
  WITHOUT ROWID;
)sql";

constexpr std::array kMigrations = {kFirst, kFinishedJobs, kTerms,       kSchedules,  kAttempts,
                                    kRuns,  kRemovedKeys,  kRemovedJobs, kStops};

int pragma(Database& db, const char* sql) { return db.connection().execAndGet(sql).getInt(); }

std::string newer(int found, std::size_t known) {
  return "its schema is " + std::to_string(found) + ", this rexec knows up to " +
         std::to_string(known);
}

}  // namespace

std::span<const char* const> all_migrations() { return kMigrations; }

Result<int> check_schema(Database& db, std::span<const char* const> migrations) {
  const int application = pragma(db, "PRAGMA application_id");
  const int version = pragma(db, "PRAGMA user_version");
  const bool empty = pragma(db, "SELECT count(*) FROM sqlite_master") == 0;
  if (application != kApplicationId && !(empty && application == 0 && version == 0)) {
    return fail(Code::kStore, db.path() + " is not a rexec database");
  }
  if (version < 0 || static_cast<std::size_t>(version) > migrations.size()) {
    return fail(Code::kStore,
                db.path() + " was written by a newer rexec: " + newer(version, migrations.size()),
                "start the newer rexec, or put back the copy from before the upgrade: " +
                    db.path() + ".schema-N");
  }
  return version;
}

Result<void> migrate(Database& db, std::span<const char* const> migrations) {
  const auto version = check_schema(db, migrations);
  if (!version) return std::unexpected(version.error());
  const auto from = static_cast<std::size_t>(*version);
  if (from == migrations.size()) return {};
  if (from > 0) {
    auto kept = backup_to(db, db.path() + ".schema-" + std::to_string(from));
    if (!kept) return kept;
  }
  try {
    SQLite::Database& connection = db.connection();
    connection.exec("BEGIN IMMEDIATE");
    for (const char* step : migrations.subspan(from)) {
      connection.exec(step);
      fail_point(FailPoint::kStoreMigrated);
    }
    connection.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
    connection.exec("PRAGMA user_version = " + std::to_string(migrations.size()));
    connection.exec("COMMIT");
  } catch (const SQLite::Exception& error) {
    db.connection().tryExec("ROLLBACK");
    return fail(Code::kStore, db.path() + ": cannot bring the schema up to date: " + error.what());
  }
  return {};
}

}  // namespace rexec::store
