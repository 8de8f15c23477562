// One run, attachment or log as the user experiences it: client::Run on a reactor, its bytes to
// Output, the user's signals and terminal to the job, and at the end the status JSON and the exit
// code. run, submit, shell, attach and logs differ only in the plan they bring.
#pragma once

#include <string>
#include <vector>

#include "cli/line/exit_status.hpp"
#include "cli/line/verbs.hpp"
#include "cli/run/signals.hpp"
#include "cli/run/status.hpp"
#include "src/client/plan.hpp"

namespace rexec::cli {

enum class Prefix { kAuto, kNever };
enum class Stamps { kNone, kTime };
enum class Terminal { kCooked, kRaw };

struct FollowOptions {
  Globals globals;
  client::RunPlan plan;
  Prefix prefix = Prefix::kAuto;
  Stamps stamps = Stamps::kNone;
  bool job_terminal = false;              // -t: the window's size goes to the job
  Terminal terminal = Terminal::kCooked;  // kRaw: keys go to the job, "Enter ~ ." leaves
  ExitRule rule = ExitRule::kSeveral;
  Millis connect_timeout{10'000};
  StatusTarget status;
  std::string workdir;        // as it was asked for
  std::string not_found;      // the next step when the node finds nothing to execute
  std::string on_disconnect;  // the rule of a run, as it is written; empty: the job was there
  Visit visit = Visit::kOwner;
  bool quiet_end = false;  // logs without -f: the end is not news and 0 is success

  // The end of the client ends the job too. A run with a key may be repeated: the repetition is to
  // find its job, so the job waits for it as for a lost link.
  bool ends_with_client() const {
    return visit == Visit::kOwner && plan.key == client::RequestKey::kRandom;
  }
};

// The exit status. A client that was ended by Ctrl-C dies of SIGINT instead of returning.
int follow(const FollowOptions& options);

// A failure before there was anything to follow: error, status JSON, exit code.
int fail_run(const FollowOptions& options, const Error& error);

}  // namespace rexec::cli
