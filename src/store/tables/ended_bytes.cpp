// See ended_bytes.hpp.
#include "src/store/tables/ended_bytes.hpp"

#include "src/store/database/sql.hpp"

namespace rexec::store {
namespace {

// A row's numbers, ids and hash and its places in the table and thirteen indices: 530 bytes where
// the pages are full, which those of the indices by chance are to two thirds.
constexpr std::uint64_t kRowBytes = 700;
// Besides a command or an attempt's record: its key, twice, and its checksum.
constexpr std::uint64_t kSpecBytes = 200;
constexpr std::uint64_t kAttemptBytes = 50;

// What read() takes. length() of a blob does not read it; a text is counted in
// characters unless it is made one.
constexpr const char* kColumns =
    "SELECT owner, ended, jobs.rowid, spec_hash, "
    "length(CAST(node_name || owner_name || summary || request || record || ticket AS BLOB)), "
    "(SELECT length(spec) FROM specs WHERE hash = spec_hash), "
    "(SELECT length(CAST(terms AS BLOB)) FROM terms WHERE job = jobs.id), "
    "CASE WHEN attempt > 1 THEN (SELECT sum(length(CAST(record AS BLOB))) FROM attempts "
    "WHERE job = jobs.id) END, "
    "CASE WHEN attempt > 1 THEN (SELECT count(*) FROM attempts WHERE job = jobs.id) END FROM jobs ";

std::uint64_t positive(std::int64_t value) {
  return value > 0 ? static_cast<std::uint64_t>(value) : 0;
}

EndedJob read(Run& from) {
  EndedJob job;
  job.owner.text = from.text(0);
  job.place = {from.integer(1), from.integer(2)};
  job.bytes = kRowBytes + positive(from.integer(4)) + positive(from.integer(6)) +
              positive(from.integer(7)) + kAttemptBytes * positive(from.integer(8));
  const std::uint64_t spec = positive(from.integer(5));
  if (spec == 0) return job;
  if (spec < kLargeSpec) {
    job.bytes += spec + kSpecBytes;
  } else {
    job.spec = static_cast<std::uint64_t>(row_sum(from.text(3)));
    job.spec_bytes = spec + kSpecBytes;
  }
  return job;
}

}  // namespace

// The texts are made once: Database::statement() knows a statement by its address.
std::optional<EndedJob> measure_ended_job(Database& db, const JobId& id) {
  static const std::string kOne = std::string(kColumns) + "WHERE id = ? AND ended > 0";
  return query_one(db, read, kOne.c_str(), id.text);
}

std::vector<EndedJob> list_ended_jobs(Database& db, EndPlace after, std::size_t limit) {
  static const std::string kPage =
      std::string(kColumns) +
      "INDEXED BY jobs_by_end WHERE ended > 0 AND (ended, jobs.rowid) > (?, ?) "
      "ORDER BY ended, jobs.rowid LIMIT ?";
  return query(db, read, kPage.c_str(), after.ended_ms, after.row,
               static_cast<std::int64_t>(limit));
}

std::uint64_t used_bytes(Database& db) {
  const auto number = [&db](const char* sql) {
    return query_one(db, [](Run& row) { return row.integer(0); }, sql).value_or(0);
  };
  return positive(number("PRAGMA page_count") - number("PRAGMA freelist_count")) *
         positive(number("PRAGMA page_size"));
}

MeasuredEnds measure_ends(Database& db, const std::vector<JobId>& ended, Measure measure) {
  MeasuredEnds ends;
  for (const JobId& id : ended) {
    if (measure != Measure::kEachJob)
      ends.jobs.push_back({id, std::nullopt});
    else if (const auto size = measure_ended_job(db, id))
      ends.jobs.push_back({id, size});
  }
  if (measure == Measure::kDatabase && !ended.empty()) ends.used = used_bytes(db);
  return ends;
}

}  // namespace rexec::store
