// From what a person types for a job (an id or the beginning of one) to the job, and from there to
// a plan that attaches to it. Asks the controller once.
#pragma once

#include "cli/follow.hpp"

namespace rexec::cli {

// kUnknownJob, kAmbiguousJob.
Result<client::JobInfo> find_job(const Globals& globals, const std::string& prefix);
// --from: "out=N,err=N" or "N" for stdout alone (stderr from its beginning). kUsage.
Result<void> read_from(const std::string& text, client::JobInfo& into);

}  // namespace rexec::cli
