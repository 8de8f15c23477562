// `rexec whoami`: who the controller says one is.
#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"

namespace rexec::cli {
namespace {

int run(const Invocation& invocation) {
  const Result<wire::Map> who = call(invocation.globals, "whoami");
  if (!who) return fail_with(invocation.globals, who.error());
  if (invocation.globals.format == Format::kName)
    return print_out(wire::text_or(*who, "user") + "\n");
  return print_object(invocation.globals, *who);
}

}  // namespace

constinit const Verb whoami_verb{.name = "whoami",
                                 .summary = "who you are to the controller",
                                 .run = run,
                                 .formats = kNamedFormats};

}  // namespace rexec::cli
