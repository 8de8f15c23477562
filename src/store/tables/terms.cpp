// See terms.hpp.
#include "src/store/tables/terms.hpp"

#include "src/store/database/sql.hpp"

namespace rexec::store {

namespace {

auto reader(Database& db) {
  return [&db](Run& from) {
    TermsRow row{{from.text(0)}, from.text(1)};
    if (row_sum(row.job.text, row.terms) != from.integer(2))
      reject_damaged_row(db, "terms", row.job.text);
    return row;
  };
}

}  // namespace

std::vector<TermsRow> load_terms(Database& db) {
  return query(db, reader(db),
               "SELECT terms.* FROM terms JOIN jobs ON jobs.id = terms.job WHERE jobs.ended = 0");
}

std::optional<std::string> find_terms(Database& db, const JobId& job) {
  auto row = query_one(db, reader(db), "SELECT * FROM terms WHERE job = ?", job.text);
  if (!row) return std::nullopt;
  return std::move(row->terms);
}

void put_terms(Database& db, const TermsRow& row) {
  rexec::store::run(db, "INSERT OR REPLACE INTO terms VALUES (?,?,?)", row.job.text, row.terms,
                    row_sum(row.job.text, row.terms));
}

void remove_terms(Database& db, const JobId& job) {
  rexec::store::run(db, "DELETE FROM terms WHERE job = ?", job.text);
}

}  // namespace rexec::store
