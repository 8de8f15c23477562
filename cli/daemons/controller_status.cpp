// `rexec status`: the controller of the context at a glance.
#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"

namespace rexec::cli {
namespace {

int run(const Invocation& invocation) {
  const Result<wire::Map> status = call(invocation.globals, "status");
  if (!status) return fail_with(invocation.globals, status.error());
  return print_object(invocation.globals, *status);
}

}  // namespace

constinit const Verb status_verb{
    .name = "status", .summary = "the controller, its nodes and jobs at a glance", .run = run};

}  // namespace rexec::cli
