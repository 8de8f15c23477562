// `rexec demo`: a controller and three nodes on loopback in a temporary directory, to try rexec or
// to test against. Everything is gone when it ends, however it ends.
#include <unistd.h>

#include <cstdlib>

#include "cli/demo/demo_daemons.hpp"
#include "cli/demo/demo_place.hpp"
#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "cli/line/sign_in.hpp"
#include "src/agent/agent.hpp"
#include "src/client/enrol.hpp"
#include "src/controller/server/server.hpp"
#include "src/os/users.hpp"

namespace rexec::cli {
namespace {

constexpr const char* kNodes[] = {"n1", "n2", "n3"};
constexpr Millis kReadyWithin{20'000};

Result<void> start_controller(const DemoPlace& place, DemoDaemons& daemons) {
  controller::InitOptions options;
  options.data_dir = place.data("controller");
  options.listen = "127.0.0.1:0";
  options.cluster = "demo";
  const Result<controller::InitResult> made = controller::init(options);
  if (!made) return std::unexpected(made.error());
  client::ContextEntry entry{"demo", made->addresses, made->cluster, options.admin};
  // A kept connection would outlive the demo in the user's shell.
  entry.persist = client::Persist::kOff;
  Result<void> step =
      sign_in(Globals{}, std::move(entry), {made->ca, made->admin_certificate, made->admin_key});
  if (step) {
    step = daemons.start("controller", {"controller", "run", "--data", options.data_dir},
                         place.log("controller"));
  }
  return step ? daemons.wait_ready(kReadyWithin) : step;
}

Result<void> start_node(const std::string& name, const DemoPlace& place, DemoDaemons& daemons) {
  const Result<wire::Map> token =
      call(Globals{}, "token.new", {{"role", "node"}, {"name", name}, {"ttl_s", 600}});
  if (!token) return std::unexpected(token.error());
  const auto user = os::find_user({}, ::geteuid());
  client::EnrolOptions options;
  options.token = wire::text_or(*token, "token");
  options.key_file = place.data(name + ".key");
  options.run_as = user && *user ? (*user)->name : "";
  const Result<client::Enrolment> enrolled = client::enrol(options);
  if (!enrolled) return std::unexpected(enrolled.error());
  // Of and for one person, who has at hand whatever a job could do with it.
  const bool keeps_privileges = true;
  const agent::AgentConfig config{enrolled->id,        enrolled->name, enrolled->cluster,
                                  enrolled->addresses, options.run_as, {},
                                  keeps_privileges};
  const Result<void> saved = agent::save_identity(place.data(name), config, enrolled->credentials);
  if (!saved) return saved;
  return daemons.start(name, {"agent", "run", "--data", place.data(name), "--stop-jobs"},
                       place.log(name));
}

Result<void> start_all(const DemoPlace& place, DemoDaemons& daemons) {
  Result<void> step = start_controller(place, daemons);
  for (const char* name : kNodes) {
    if (step) step = start_node(name, place, daemons);
  }
  return step ? daemons.wait_ready(kReadyWithin) : step;
}

void print_commands(const DemoPlace& place, Millis took) {
  print_out(
      "A controller and the nodes n1, n2 and n3 run in " + place.path() + " (ready in " +
      format_duration(took) + ").\nPaste into another terminal, the first line first:\n\n  . " +
      place.environment_file() +
      "\n\n"
      "  rexec node ls\n"
      "  rexec run n1 -- uname -a\n"
      "  rexec run n1,n2,n3 -- sh -c 'echo hello from $REXEC_NODE'\n"
      "  rexec attach $(rexec submit n2 -- sh -c 'for i in 1 2 3; do echo $i; sleep 1; done')\n"
      "  rexec shell n3\n\n"
      "Ctrl-C ends it and removes everything.\n");
}

// Until the user has enough: the exit status.
int stay(const Globals& globals, const DemoPlace& place, DemoDaemons& daemons, Millis took) {
  print_commands(place, took);
  const Result<void> ended = daemons.wait_end();
  return ended ? 0 : fail_with(globals, ended.error());
}

int use(const Invocation& invocation, const DemoPlace& place, DemoDaemons& daemons, Millis took) {
  const Globals& globals = invocation.globals;
  if (!invocation.args.has("exec")) return stay(globals, place, daemons, took);
  const Result<int> code = daemons.run_command(invocation.args.value("exec"));
  if (!code) return fail_with(globals, code.error());
  const char* wants_stay = std::getenv("REXEC_DEMO_STAY");
  if (wants_stay != nullptr && *wants_stay == '1') stay(globals, place, daemons, took);
  return *code;
}

int run(const Invocation& invocation) {
  const BootTime begun = BootClock::now();
  Result<DemoPlace> place = DemoPlace::make();
  if (!place) return fail_with(invocation.globals, place.error());
  DemoDaemons daemons;
  const Result<void> started = start_all(*place, daemons);
  const auto took = std::chrono::duration_cast<Millis>(BootClock::now() - begun);
  const bool interrupted = !started && started.error().code == Code::kLinkLost &&
                           started.error().message == "interrupted";
  int code = started       ? use(invocation, *place, daemons, took)
             : interrupted ? 130
                           : fail_with(invocation.globals, started.error());
  daemons.stop_all();
  if (!place->remove() && code == 0) code = 1;
  return code;
}

constexpr Flag kFlags[] = {
    {.name = "exec",
     .value = "CMD",
     .help = "run CMD through sh against it, clean up, exit with its code"},
};

}  // namespace

constinit const Verb demo_verb{
    .name = "demo",
    .summary = "try rexec here: a controller and three nodes on loopback",
    .synopsis = "[flags]",
    .flags = kFlags,
    .run = run,
    .details =
        "With --exec, rexec is on PATH, the demo's context is set, and the nodes are n1, n2 and "
        "n3;\n"
        "REXEC_DEMO_STAY=1 keeps it open afterwards. Without it, Ctrl-C ends the demo.",
    .formats = kOnlyText};

}  // namespace rexec::cli
