// How a client ends before its job, and what is said about it.
#include "cli/run/leaving.hpp"

#include <doctest/doctest.h>

#include <csignal>

using namespace rexec;
using namespace rexec::cli;

namespace {

BootTime at(int millis) { return BootTime(Millis{millis}); }
bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("signals: what ends a visitor never reaches the job") {
  struct Row {
    int signal;
    Deed owner, attached, reader;
  };
  const Row rows[] = {
      {SIGINT, Deed::kLadder, Deed::kLadder, Deed::kDie},
      {SIGQUIT, Deed::kLeave, Deed::kLeave, Deed::kEnd},
      {SIGTERM, Deed::kTerm, Deed::kEnd, Deed::kEnd},
      {SIGHUP, Deed::kEnd, Deed::kEnd, Deed::kEnd},
      {SIGUSR1, Deed::kForward, Deed::kForward, Deed::kEnd},
      {SIGUSR2, Deed::kForward, Deed::kForward, Deed::kEnd},
  };
  for (const Row& row : rows) {
    CAPTURE(row.signal);
    CHECK(deed_of(row.signal, Visit::kOwner) == row.owner);
    CHECK(deed_of(row.signal, Visit::kAttached) == row.attached);
    CHECK(deed_of(row.signal, Visit::kReader) == row.reader);
  }
}

TEST_CASE("signals: TERMs that are answered never end the client, however many") {
  Unanswered unanswered;
  for (int i = 0; i < 9; ++i) {
    unanswered.sent(at(1'000 * i), Deed::kTerm);
    CHECK(unanswered.look(at(1'000 * i + 1), at(0), false) == Unanswered::Verdict::kNothing);
    CHECK(unanswered.look(at(1'000 * i + 600), at(1'000 * i + 30), false) ==
          Unanswered::Verdict::kNothing);
    CHECK_FALSE(unanswered.is_waiting());
  }
}

TEST_CASE("signals: where nobody answers it is told once, and a third TERM leaves") {
  Unanswered unanswered;
  unanswered.sent(at(1'000), Deed::kTerm);
  CHECK(unanswered.look(at(1'499), at(1'000), false) == Unanswered::Verdict::kNothing);
  CHECK(unanswered.look(at(1'500), at(1'000), false) == Unanswered::Verdict::kTell);
  unanswered.sent(at(1'700), Deed::kTerm);
  CHECK(unanswered.look(at(2'300), at(1'000), false) == Unanswered::Verdict::kNothing);
  unanswered.sent(at(2'400), Deed::kTerm);
  CHECK(unanswered.look(at(2'400), at(1'000), false) == Unanswered::Verdict::kLeave);
}

TEST_CASE("signals: three TERMs at once wait for an answer before they leave") {
  Unanswered unanswered;
  for (int i = 0; i < 3; ++i) unanswered.sent(at(i), Deed::kTerm);
  CHECK(unanswered.look(at(10), at(0), false) == Unanswered::Verdict::kNothing);
  CHECK(unanswered.look(at(501), at(0), false) == Unanswered::Verdict::kLeave);
}

TEST_CASE(
    "signals: a link that is known to be down is told at once; Ctrl-C alone never leaves so") {
  Unanswered unanswered;
  for (int i = 0; i < 5; ++i) unanswered.sent(at(i), Deed::kLadder);
  CHECK(unanswered.look(at(5), at(900), true) == Unanswered::Verdict::kTell);
  CHECK(unanswered.look(at(9'000), at(900), true) == Unanswered::Verdict::kNothing);
}

TEST_CASE("leaving: the reason says who ended the client, and what of the job is known") {
  const Error accepted = why_left({Leaving::kSignal, SIGHUP}, {true, true});
  CHECK(accepted.code == Code::kLeft);
  CHECK(has(accepted.message, "HUP"));
  CHECK(why_left({Leaving::kChosen}, {true, true}).code == Code::kLeft);
  CHECK(has(why_left({Leaving::kInterrupt}, {true, true}).message, "stop goes on"));

  const Error perhaps = why_left({Leaving::kSignal, SIGTERM}, {true, false});
  CHECK(perhaps.code == Code::kOutcomeUnknown);
  CHECK(has(perhaps.hint, "rexec ps"));

  const Error never = why_left({Leaving::kSignal, SIGTERM}, {false, false});
  CHECK(never.code == Code::kInterrupted);
  CHECK(has(never.message, "nothing was started"));
}

TEST_CASE("leaving: what becomes of the job is what the node will do") {
  const auto becomes = [](const LeftJob& job) { return what_becomes_of_it(job); };
  CHECK(becomes({"stop-after=10m", "W", LastWord::kLeave}) == "the job goes on; come back with: W");
  CHECK(becomes({"stop-after=10m", "W"}) == "the job goes on for 10m; come back with: W");
  CHECK(has(becomes({"stop", "W"}), "is stopped there"));
  CHECK(becomes({"stop", "W", LastWord::kLeave}) == "the job goes on; come back with: W");
  CHECK(has(becomes({"stop-after=10m", "W", LastWord::kEnded}), "because its client ends"));
  CHECK(becomes({"keep", "W", LastWord::kEnded}) == "the job goes on; come back with: W");
  CHECK(becomes({"", "W"}) == "the job goes on; come back with: W");
  const std::string over = becomes({"", "W", LastWord::kNone, true});
  CHECK(has(over, "has ended"));
  CHECK_FALSE(has(over, "goes on"));
}

TEST_CASE(
    "leaving: the job ends with its client, unless that left on purpose or lost its terminal") {
  const Departure hangup{Leaving::kSignal, SIGHUP};
  CHECK(ends_job(hangup, false));
  CHECK_FALSE(ends_job(hangup, true));
  CHECK(ends_job({Leaving::kSignal, SIGTERM}, true));
  CHECK(ends_job({Leaving::kInterrupt}, true));
  CHECK_FALSE(ends_job({Leaving::kChosen}, false));
  CHECK_FALSE(ends_job({Leaving::kNot}, false));
}

TEST_CASE("leaving: each Ctrl-C says what it did and what the next one does") {
  const std::string first = interrupt_words(Reaction::kInterrupt, {.run = true});
  CHECK(has(first, "INT was sent"));
  CHECK(has(first, "again within 2s stops it"));
  const std::string second = interrupt_words(Reaction::kStop, {.run = true});
  CHECK(has(second, "TERM and after its --grace KILL"));
  CHECK(has(second, "once more leaves"));
  CHECK(has(interrupt_words(Reaction::kGo, {.run = true}), "the stop goes on"));
}

TEST_CASE("leaving: a Ctrl-C that no process gets is not said to be sent to one") {
  const auto words = [](Unfinished jobs) { return interrupt_words(Reaction::kInterrupt, jobs); };
  CHECK(words({.wait = true}) == "Ctrl-C: the job is stopped: it had not started yet");
  CHECK(words({.pause = true}) == "Ctrl-C: the job is stopped: it was between two attempts");
  CHECK(words({.wait = true, .pause = true}) ==
        "Ctrl-C: the jobs are stopped: none of them was running");
  const std::string some = words({.run = true, .wait = true});
  CHECK(has(some, "INT was sent to the jobs that run, those that wait are stopped"));
  CHECK(has(some, "again within 2s stops all"));
}

TEST_CASE("leaving: the nodes that do not take the standard input are named, many as a count") {
  CHECK(has(waiting_input_words({"n2"}), "input waits for n2, which does not take it"));
  CHECK(has(waiting_input_words({"n2", "n\x1b"}), "waits for n2, n\\x1b, which do not take it"));
  CHECK(has(waiting_input_words(std::vector<std::string>(12, "n")), "n and 2 more, which do"));
}

TEST_CASE("leaving: the way back names the bytes that are here, and a terminal keeps none") {
  CHECK(way_back({"j-1"}) == "rexec attach j-1");
  CHECK(way_back({"j-1", 3, 0}) == "rexec attach j-1 --from out=3,err=0");
  CHECK(way_back({"j-1", 3, 5, true}) == "rexec attach -t j-1");
  CHECK(lost_link_words("why\x1b", true).find('\x1b') == std::string::npos);
}
