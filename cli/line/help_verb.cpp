// `rexec help [TOPIC]`: the overview, a verb's help, or a topic.
#include "cli/line/errors.hpp"
#include "cli/line/help.hpp"
#include "cli/line/help_topics.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

constexpr HelpTopic kTopics[] = {
    {"targets", "how nodes are named", R"(
node42            one node
n1,n2,n3          several
node[01-20,30]    a range
@all              every node
label=value       the nodes with that label
A,B  A&B  !A      or, and, not

Zero nodes matched is an error (125), never success.
)"},
    {"exit", "exit codes", R"(
rexec run, attach, wait, logs -f:
  0–255   the command's own code; 128+n when signal n killed it
  120     refused by policy, ban or role
  121     lost, or the user left the job running
  122     the command ended, its output is incomplete
  123     several nodes: some failed (--exit max|first|any: another rule)
  124     --timeout
  125     rexec could not start it
  126     found, but not executable        127     not found
Any code can be the command's own: --status-file has the truth as JSON.

Everything else:
  0 ok · 1 failed · 2 usage · 3 no such object · 4 not signed in or not allowed ·
  5 controller unreachable · 6 conflict · 7 partly done
)"},
    {"signals", "Ctrl-C and its kin", R"(
Ctrl-C            INT to the job
  again in 2 s    TERM, --grace, KILL to the whole tree
  a third time    leave at once; the stop goes on
Ctrl-\            leave the job running, exit 121
Enter ~ .         the same with -t, where the keys go to the job
TERM, USR1, USR2  are forwarded
HUP               a closed window: --on-disconnect; without a terminal the job ends
)"},
    {"environment", "variables and files", R"(
REXEC_CONTEXT     the context to use         REXEC_CONFIG      the file of contexts
REXEC_OUTPUT      the default of -o          REXEC_NO_INPUT    never ask
REXEC_TOKEN_FILE  the token for join and login
NO_COLOR, TERM=dumb                          no colours

$XDG_CONFIG_HOME/rexec/config.toml           contexts
$XDG_DATA_HOME/rexec/ctx/NAME/               keys, 0600
$XDG_CACHE_HOME/rexec/NAME/                  names for completion
)"},
};

int show_verb(const Verb& first, const std::string& name, const std::string& sub) {
  if (sub.empty()) return print_out(verb_help(first, name));
  const Verb* verb = find_verb(first.subs, sub);
  if (verb != nullptr && verb->shown == Shown::kYes) {
    return print_out(verb_help(*verb, name + " " + sub));
  }
  return fail_with(Globals{}, unknown_verb(first.subs, name, sub));
}

int run(const Invocation& invocation) {
  const std::string topic = invocation.args.word(0);
  if (topic.empty()) {
    std::string text = overview() + "\ntopics:\n";
    for (const HelpTopic& known : kTopics) {
      text += "  rexec help " + std::string(known.name) + std::string(13 - known.name.size(), ' ') +
              std::string(known.summary) + "\n";
    }
    return print_out(text);
  }
  for (const HelpTopic& known : kTopics) {
    if (known.name == topic) return print_out(known.text.substr(1));
  }
  const Verb* verb = find_verb(all_verbs(), topic);
  if (verb != nullptr && verb->shown == Shown::kYes) {
    return show_verb(*verb, topic, invocation.args.word(1));
  }
  return fail_with(invocation.globals, unknown_verb(all_verbs(), "", topic));
}

}  // namespace

std::span<const HelpTopic> help_topics() { return kTopics; }

constinit const Verb help_verb{.name = "help",
                               .summary = "help on a verb or a topic",
                               .synopsis = "[TOPIC [SUB]]",
                               .most = 2,
                               .run = run,
                               .completes = "@topic",
                               .formats = kOnlyText};

}  // namespace rexec::cli
