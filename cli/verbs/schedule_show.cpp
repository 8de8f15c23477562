// `rexec schedule ls|show`: what there is, and what each node made of it.
#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/exit_status.hpp"
#include "cli/line/listing.hpp"
#include "cli/verbs/schedule.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

int run_ls(const Invocation& invocation) {
  Result<wire::Map> answer = call_pages(invocation.globals, "schedule.ls", "schedules");
  if (!answer) return fail_with(invocation.globals, answer.error());
  Listing listing;
  listing.headings = {{"SCHEDULE"},
                      {"STATE"},
                      {"RULE"},
                      {"ZONE"},
                      {"NEXT"},
                      {"TARGET"},
                      {"COMMAND"},
                      {"OVERLAP", Column::kWide},
                      {"CATCH UP", Column::kWide},
                      {"OWNER", Column::kWide},
                      {"ID", Column::kWide}};
  listing.nothing = "no schedules yet: rexec schedule add --help";
  for (wire::Map& one : wire::take_child(*answer, "schedules")) {
    listing.add({cell(one, "name"), cell(one, "state"), cell(one, "rule"), cell(one, "zone"),
                 cell(one, "next"), cell(one, "target"), cell(one, "command"), cell(one, "overlap"),
                 cell(one, "catch_up"), cell(one, "owner"), cell(one, "id")},
                wire::text_or(one, "name"), std::move(one));
  }
  return print_listing(invocation.globals, listing);
}

// Whole, below the table: a cell would be cut.
int print_failures(const wire::Map& schedule) {
  std::string text;
  for (const wire::Map& node : wire::child_or_empty(schedule, "nodes")) {
    const std::string why = wire::text_or(node, "error");
    if (why.empty()) continue;
    text +=
        "last failure on " + printable(wire::text_or(node, "node")) + ": " + printable(why) + "\n";
  }
  return text.empty() ? 0 : print_out("\n" + text);
}

int run_show(const Invocation& invocation) {
  const Globals& globals = invocation.globals;
  const Result<wire::Map> answer =
      call_pages(globals, "schedule.show", "nodes", {{"name", invocation.args.word(0)}});
  if (!answer) return fail_with(globals, answer.error());
  if (globals.format == Format::kName) return print_out(wire::text_or(*answer, "name") + "\n");
  if (globals.format == Format::kJson || globals.format == Format::kJsonl)
    return print_object(globals, *answer);
  wire::Map about = *answer;
  about.erase("nodes");
  print_object(globals, about);
  print_out("\n");
  Listing listing;
  listing.headings = {{"NODE"},    {"STATE"},  {"LAST"},    {"LAST JOB"}, {"FIRED"},
                      {"SKIPPED"}, {"FAILED"}, {"RUNNING"}, {"WAITING"},  {"HELD", Column::kWide}};
  listing.nothing = "no node matches its target now";
  for (const wire::Map& node : wire::child_or_empty(*answer, "nodes"))
    listing.add(
        {cell(node, "node"), cell(node, "state"), cell(node, "last"), cell(node, "last_job"),
         cell(node, "fired"), cell(node, "skipped"), cell(node, "failed"), cell(node, "running"),
         cell(node, "waiting"), cell(node, "held")},
        wire::text_or(node, "node"), wire::Map(node));
  const int status = print_listing(globals, listing);
  return status == 0 ? print_failures(*answer) : status;
}

}  // namespace

constinit const Verb schedule_ls_verb{.name = "ls",
                                      .summary = "the schedules and when they fire next",
                                      .run = run_ls,
                                      .formats = kAllFormats};
constinit const Verb schedule_show_verb{
    .name = "show",
    .summary = "one schedule, and what each node made of it",
    .synopsis = "NAME",
    .least = 1,
    .most = 1,
    .run = run_show,
    .details =
        "SKIPPED counts firings that met a running job or were missed and not caught up. FAILED\n"
        "counts those that a node refused, such as for a user that it does not have: they have no\n"
        "job, and why the last one failed is said below the table. A command that is not there\n"
        "leaves a job all the same, not_started: see rexec ps -a.",
    .formats = kAllFormats};

}  // namespace rexec::cli
