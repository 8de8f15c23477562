// What jobs wait for before they start, or hold while they run: a row a job, beside its row in
// `jobs` and for as long. The text is the controller's; nothing here reads it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/ids.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

struct TermsRow {
  JobId job;
  std::string terms;  // JSON
};

// Of the jobs that have not ended.
std::vector<TermsRow> load_terms(Database& db);
std::optional<std::string> find_terms(Database& db, const JobId& job);
void put_terms(Database& db, const TermsRow& row);
void remove_terms(Database& db, const JobId& job);

}  // namespace rexec::store
