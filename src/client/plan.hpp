// What a run is to do, as values: for cli/, which builds plans without including Asio, and for
// run.*, which carries them out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/base/clock.hpp"

namespace rexec::client {

// What a job waits for before it starts, and for how long at most.
struct LockWish {
  std::string name;
  std::uint32_t slots = 1;
  bool fleet = false;  // of all nodes together, not of each
};
struct AfterWish {
  std::string job;  // an id or its beginning; in a DAG the name of another of its jobs
  std::string when = "ok";
};
struct Waits {
  Millis queue{0};   // whatever for; 0: without end
  Millis online{0};  // for an offline node; 0: not at all
  std::vector<LockWish> locks;
  std::vector<AfterWish> after;
};

// One job of a DAG: submitted with the others, all or none. `after` names jobs before it.
struct DagJob {
  std::string name;
  std::string targets;
  std::string spec;  // encoded job::JobSpec
  Waits waits;
};

// One job of the run, known once it was accepted (or named by attach, logs).
struct JobInfo {
  std::string job;
  std::string node;
  std::string ticket;
  std::uint32_t attempt = 1;
  std::uint64_t out = 0;  // offsets to begin at (attach --from)
  std::uint64_t err = 0;
  std::string name = {};     // in a DAG
  std::string waiting = {};  // why it did not start at once
  std::string refused = {};  // why it never will: the reason of its record
  bool ended = false;        // it had, when it was asked for (attach, logs)
};

enum class Follow { kUntilEnd, kWhatIsThere };  // logs without -f
enum class Hold { kYes, kNo };  // an attached reader holds the job back; logs does not

// How far a job may run ahead of an attached reader: as the spool allows, or about a window, so
// that what somebody watches ends soon after the job does.
enum class Pace { kSpool, kReader };

// Whether output comes with the time at which the job wrote it.
enum class Times { kNo, kYes };

// What the job learns when the client's stdin is at its end: that, or for a terminal that the
// end-of-file key is pressed. Once is not enough there: a shell that has not switched its line
// editor on yet would lose it, and every reader wants its own.
enum class StdinEnd { kOnce, kKeys };

// One that somebody chose is found again for a week, however soon the controller forgets jobs.
enum class RequestKey { kRandom, kChosen };

struct RunPlan {
  std::string targets;  // a submit, unless `jobs` names what is there already
  std::string spec;     // encoded job::JobSpec
  std::string request;  // 32 hex characters; empty: random
  RequestKey key = RequestKey::kRandom;
  std::string mode = "attached";
  std::vector<JobInfo> jobs;
  Waits waits;
  std::vector<DagJob> dag;  // instead of targets, spec and waits; detached
  Follow follow = Follow::kUntilEnd;
  Hold hold = Hold::kYes;
  Pace pace = Pace::kSpool;
  Times times = Times::kNo;
  int stdin_fd = -1;  // forwarded when ≥ 0
  StdinEnd stdin_end = StdinEnd::kOnce;
  Millis reconnect{300'000};
  bool owns = false;  // the jobs are this client's own: they end with its process
};

}  // namespace rexec::client
