// See drop_ended.hpp.
#include "src/store/tables/drop_ended.hpp"

#include "src/store/database/sql.hpp"
#include "src/store/tables/removed_keys.hpp"

namespace rexec::store {
namespace {

struct Candidate {
  EndPlace place;
  UserId owner;
  JobId id;
  std::string request;
  std::string spec_hash;
  bool keyed = false;
};

std::vector<Candidate> list_candidates(Database& db, const DropEnded& which) {
  const auto read = [](Run& from) {
    return Candidate{{from.integer(0), from.integer(1)},
                     {from.text(2)},
                     {from.text(3)},
                     from.text(4),
                     from.text(5),
                     from.integer(6) == 1};
  };
  return query(db, read,
               "SELECT ended, rowid, owner, id, request, spec_hash, keyed FROM jobs INDEXED BY "
               "jobs_by_end WHERE ended > 0 AND (ended, rowid) > (?, ?) ORDER BY ended, rowid "
               "LIMIT ?",
               which.after.ended_ms, which.after.row,
               static_cast<std::int64_t>(which.most_looked_at));
}

// Its command, if that is large and no other job has it.
std::optional<FreedJob> drop_command(Database& db, const Candidate& one) {
  auto job = measure_ended_job(db, one.id);
  if (!job || job->spec == 0) return std::nullopt;
  const int gone = run(db,
                       "DELETE FROM specs WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE "
                       "substr(spec_hash, 1, 16) = substr(?1, 1, 16) AND +spec_hash = ?1 AND "
                       "id <> ?2)",
                       one.spec_hash, one.id.text);
  if (gone == 0) return std::nullopt;
  job->bytes = 0;
  return FreedJob{std::move(*job), {}};
}

std::uint64_t freed_by(const FreedJob& freed) {
  return freed.job.bytes + (freed.keeper.empty() ? freed.job.spec_bytes : 0);
}

}  // namespace

DroppedEnded drop_ended_jobs(Database& db, const DropEnded& which) {
  const auto candidates = list_candidates(db, which);
  DroppedEnded out;
  out.next = which.after;
  std::uint64_t freed = 0;
  for (const Candidate& one : candidates) {
    if (freed >= which.bytes || out.gone.freed.size() >= which.limit) return out;
    const EndPlace before = std::exchange(out.next, one.place);
    if (one.owner != which.owner) continue;
    const bool has_key = one.keyed && from_ms(one.place.ended_ms) >= which.keyed_before;
    std::optional<FreedJob> gone;
    if (has_key && which.keyed == Keyed::kStay) {
      if (!out.before) out.before = before;
      gone = drop_command(db, one);
    } else {
      if (has_key) put_removed_key(db, {one.owner, one.request, one.id, which.now});
      gone = remove_job(db, one.id);
      out.gone.ids.push_back(one.id);
      if (!is_request_known(db, one.owner, one.request))
        out.gone.keys.push_back(request_key(one.owner, one.request));
    }
    if (!gone) continue;
    freed += freed_by(*gone);
    out.gone.freed.push_back(std::move(*gone));
  }
  out.is_last = candidates.size() < which.most_looked_at;
  return out;
}

}  // namespace rexec::store
