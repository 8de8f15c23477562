#include "cli/run/detached.hpp"

#include <algorithm>
#include <cstring>

#include "src/base/text.hpp"

namespace rexec::cli {

Detached show_detached(const std::vector<client::JobInfo>& jobs, const std::string& run,
                       Format format) {
  const bool is_dag = std::ranges::any_of(jobs, [](const auto& job) { return !job.name.empty(); });
  Listing listing;
  if (is_dag) listing.headings.push_back({"NAME"});
  listing.headings.insert(listing.headings.end(), {{"JOB"}, {"NODE"}});
  Detached shown;
  for (const client::JobInfo& job : jobs) {
    shown.text += printable(job.job) + "\n";
    wire::Map object{{"job", job.job}, {"node", job.node}, {"attempt", job.attempt}};
    if (!run.empty()) object["run"] = run;
    if (!job.waiting.empty()) object["waiting"] = job.waiting;
    std::vector<std::string> cells{job.job, job.node};
    if (is_dag) {
      cells.insert(cells.begin(), job.name);
      object["name"] = job.name;
    }
    // That a job of a DAG waits for others of it is no news.
    const auto is_why = [&job](const auto& other) { return job.waiting.ends_with(other.job); };
    if (!job.waiting.empty() && !(is_dag && std::ranges::any_of(jobs, is_why))) {
      const std::string about = is_dag            ? "[" + printable(job.name) + "] "
                                : jobs.size() > 1 ? printable(job.node) + ": "
                                                  : "";
      shown.notes.push_back(about + "waiting: " + printable(job.waiting));
    }
    if (!job.refused.empty())
      shown.notes.push_back(printable(job.node) + ": not started (" + printable(job.refused) + ")");
    listing.add(std::move(cells), job.job, std::move(object));
  }
  const bool is_json = format == Format::kJson || format == Format::kJsonl;
  if (is_json || format == Format::kWide || (is_dag && format == Format::kTable))
    shown.text = format_listing(listing, format);
  shown.names = std::move(listing.names);
  return shown;
}

Error unprinted_words(const std::vector<std::string>& ids, int error) {
  std::string list;
  for (const std::string& id : ids) list += " " + printable(id);
  return {Code::kIo,
          std::string("stdout: ") + std::strerror(error) + "; accepted nevertheless:" + list,
          "see: rexec job show" + list.substr(0, list.find(' ', 1))};
}

}  // namespace rexec::cli
