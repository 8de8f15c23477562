// One page of `ps`: the newest jobs that fit, from memory and, when ended ones are asked for, from
// the store. A page ends at its limit or when the answer is as large as a message may be, and says
// where the next one goes on. Whose jobs may be seen was decided by the caller (job_verbs.cpp).
#pragma once

#include <functional>
#include <string>

#include "src/controller/state/hub.hpp"
#include "src/store/tables/job_list.hpp"

namespace rexec::controller {

struct JobQuery {
  enum class Which { kUnfinished, kAll };
  store::JobFilter filter;
  Which which = Which::kUnfinished;
  std::size_t limit = 50;
  store::JobPlace after;  // the default is the beginning
  std::string asker;      // in whose turns it is made
};

// "MILLISECONDS.j-…": what `more` of one answer says and `after` of the next request repeats.
// kUsage.
std::string to_cursor(const store::JobPlace& place);
Result<store::JobPlace> parse_cursor(const std::string& text);

// {jobs: [Job], more?: cursor}
void list_jobs(Hub& hub, JobQuery query, std::function<void(Result<wire::Map>)> answered);

}  // namespace rexec::controller
