// What is printed of jobs that nobody follows: their ids, alone, for J=$(rexec run -d …); for a DAG
// a line for each. Pure; the follower writes it.
#pragma once

#include <string>
#include <vector>

#include "cli/line/listing.hpp"
#include "src/client/plan.hpp"

namespace rexec::cli {

struct Detached {
  std::string text;                // for stdout
  std::vector<std::string> names;  // the ids
  std::vector<std::string> notes;  // for stderr: which of them wait, and what for
};
// `run`: the id that groups them, empty for one job alone.
Detached show_detached(const std::vector<client::JobInfo>& jobs, const std::string& run,
                       Format format);

// They could not be printed (errno).
Error unprinted_words(const std::vector<std::string>& ids, int error);

}  // namespace rexec::cli
