// What a run is to do, as values: for cli/, which builds plans without including Asio, and for
// run.*, which carries them out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/base/clock.hpp"

namespace rexec::client {

// One job of the run, known once it was accepted (or named by attach, logs).
struct JobInfo {
  std::string job;
  std::string node;
  std::string ticket;
  std::uint32_t attempt = 1;
  std::uint64_t out = 0;  // offsets to begin at (attach --from)
  std::uint64_t err = 0;
};

enum class Follow { kUntilEnd, kWhatIsThere };  // logs without -f
enum class Hold { kYes, kNo };  // an attached reader holds the job back; logs does not

// How far a job may run ahead of an attached reader: as the spool allows, or about a window, so
// that what somebody watches ends soon after the job does.
enum class Pace { kSpool, kReader };

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
  Follow follow = Follow::kUntilEnd;
  Hold hold = Hold::kYes;
  Pace pace = Pace::kSpool;
  int stdin_fd = -1;  // forwarded when ≥ 0
  StdinEnd stdin_end = StdinEnd::kOnce;
  Millis reconnect{300'000};
};

}  // namespace rexec::client
