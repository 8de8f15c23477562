// From what a person types for a job (an id or the beginning of one) to the job, and from there to
// a plan that attaches to it. Asks the controller once.
#pragma once

#include <optional>

#include "cli/run/follow.hpp"

namespace rexec::cli {

// With the offsets of `from`. kUnknownJob, kAmbiguousJob; kUsage as beyond_end() for a job that has
// ended.
Result<client::JobInfo> find_job(const Globals& globals, const std::string& prefix,
                                 const client::JobInfo& from);
// --from: "out=N,err=N" or "N" for stdout alone (stderr from its beginning). kUsage.
Result<void> read_from(const std::string& text, client::JobInfo& into);
// The kUsage for a reader that began behind the last byte of a job with this end record.
std::optional<Error> beyond_end(const client::JobInfo& from, const wire::Map& record);

}  // namespace rexec::cli
