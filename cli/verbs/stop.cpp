// `rexec stop`: the whole tree of a job, TERM, then KILL. Returns when it has ended.
#include <set>

#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

// A job may have ended before anybody stopped it.
std::string describe(const std::string& job, const wire::Map& answer) {
  if (!wire::bool_or(answer, "final", true))
    return printable(job) + " will be stopped when node " +
           printable(wire::text_or(answer, "node")) + " is back\n";
  const wire::Map& record = wire::child_or_empty(answer, "record");
  const std::string outcome = wire::text_or(record, "outcome", "stopped");
  if (outcome == "stopped") return "stopped " + printable(job) + "\n";
  const std::string code = outcome == "exited" ? " " + cell(record, "code") : "";
  return printable(job) + " has ended: " + printable(outcome) + code + "\n";
}

// The names of the nodes that a target selects.
Result<std::set<std::string>> nodes_of(const Globals& globals, const std::string& target) {
  std::set<std::string> names;
  const Result<wire::Map> answer = call_pages(globals, "node.ls", "nodes", {{"target", target}});
  if (!answer) return std::unexpected(answer.error());
  for (const wire::Map& node : wire::child_or_empty(*answer, "nodes"))
    names.insert(wire::text_or(node, "name"));
  return names;
}

// The user's jobs that have not ended, on the nodes of `target` or on all.
Result<std::vector<std::string>> own_jobs(const Globals& globals, const std::string& target) {
  const Result<wire::Map> me = call(globals, "whoami");
  if (!me) return std::unexpected(me.error());
  std::set<std::string> nodes;
  if (!target.empty()) {
    auto selected = nodes_of(globals, target);
    if (!selected) return std::unexpected(selected.error());
    nodes = std::move(*selected);
  }
  std::vector<std::string> jobs;
  wire::Map request{{"owner", wire::text_or(*me, "user")}, {"limit", 200U}};
  do {
    const Result<wire::Map> page = call(globals, "job.ls", request);
    if (!page) return std::unexpected(page.error());
    for (const wire::Map& job : wire::child_or_empty(*page, "jobs"))
      if (target.empty() || nodes.contains(wire::text_or(job, "node")))
        jobs.push_back(wire::text_or(job, "job"));
    request["after"] = wire::text_or(*page, "more");
  } while (request["after"] != "");
  return jobs;
}

int run(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const bool all = invocation.args.has("all");
  std::vector<std::string> jobs = invocation.args.words();
  wire::Map order = wire::Map::object();  // without a grace it is the job's own
  if (invocation.args.has("grace")) {
    const Result<Millis> grace = invocation.args.duration("grace", Millis{0});
    if (!grace) return fail_with(globals, grace.error());
    order["grace_ms"] = grace->count();
  }
  if (all ? jobs.size() > 1 : jobs.empty())
    return fail_with(
        globals,
        {Code::kUsage, all ? "--all takes one TARGET at most" : "rexec stop: missing argument: JOB",
         "every job of yours: rexec stop --all\nsee: rexec stop --help"});
  if (all) {
    auto found = own_jobs(globals, invocation.args.word(0));
    if (!found) return fail_with(globals, found.error());
    jobs = std::move(*found);
    if (jobs.empty()) return 0;
    const int stop = confirm(invocation, "stop " + std::to_string(jobs.size()) +
                                             (jobs.size() == 1 ? " job?" : " jobs?"));
    if (stop != 0) return stop;
  }
  return call_for_each(globals, "job.stop", "job", jobs, Describe(describe), order);
}

constexpr Flag kFlags[] = {
    {.name = "all", .help = "every job of yours, or those on the nodes of TARGET"},
    {.name = "grace", .value = "D", .help = "from TERM to KILL (default: the job's own --grace)"},
};

}  // namespace

constinit const Verb stop_verb{
    .name = "stop",
    .summary = "end jobs with every process they started",
    .synopsis = "[flags] JOB… | --all [TARGET]",
    .flags = kFlags,
    .most = SIZE_MAX,
    .run = run,
    .completes = "@job",
    .details =
        "Every process of the job gets TERM and, after --grace, KILL. A job that has ended\n"
        "already is no error. Of a job on a node that is away the order is kept: it is\n"
        "stopped when the node is back."};

}  // namespace rexec::cli
