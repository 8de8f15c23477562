#include "cli/run/leaving.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>

#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

std::string name_of(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name == nullptr ? "signal " + std::to_string(signal) : name;
}

std::string who_left(const Departure& departure) {
  switch (departure.how) {
    case Leaving::kSignal:
      return name_of(departure.signal) + " ended the client";
    case Leaving::kInterrupt:
      return "Ctrl-C ended the client";
    case Leaving::kInput:
      return "standard input could not be read";
    case Leaving::kUnread:
      return "nobody takes the output any more";
    case Leaving::kNot:
    case Leaving::kChosen:
      break;
  }
  return "the user left";
}

}  // namespace

Error why_left(const Departure& departure, const Reached& reached) {
  const std::string who = who_left(departure);
  if (reached.acceptance) {
    const bool is_stop = departure.how == Leaving::kInterrupt;
    return {Code::kLeft, who + (is_stop ? "; the stop goes on" : "; the job was left running"), {}};
  }
  if (!reached.controller)
    return {
        Code::kInterrupted, who + " before the controller was reached; nothing was started", {}};
  return {Code::kOutcomeUnknown, who + " before the job was accepted; it may have been started",
          "see: rexec ps"};
}

Error unread_input(int error, bool is_own) {
  return {Code::kIo, std::string("standard input: ") + std::strerror(error),
          is_own ? "the job is stopped: it has not got all of its input"
                 : "the job goes on and waits for the rest of its input"};
}

bool ends_job(const Departure& departure, bool in_terminal) {
  const bool is_closed = departure.how == Leaving::kSignal && departure.signal == SIGHUP;
  return departure.how != Leaving::kNot && departure.how != Leaving::kChosen &&
         !(is_closed && in_terminal);
}

// Leaving on purpose keeps the job; a closed terminal or a lost link is what --on-disconnect speaks
// of.
std::string what_becomes_of_it(const LeftJob& job) {
  constexpr std::string_view kAfter = "stop-after=";
  if (job.has_ended) return "the job has ended; read what it wrote with: " + job.way_back;
  if (job.last_word == LastWord::kEnded && job.rule != "keep")
    return "the job is to stop there, because its client ends; what it wrote: " + job.way_back;
  const bool is_left = job.last_word == LastWord::kLeave;
  if (!is_left && job.rule == "stop") return "the job is stopped there (--on-disconnect stop)";
  const bool ends = !is_left && job.rule.starts_with(kAfter);
  return "the job goes on" + (ends ? " for " + job.rule.substr(kAfter.size()) : "") +
         "; come back with: " + job.way_back;
}

std::string way_back(const ReadSoFar& read) {
  const std::string attach = "rexec attach ";
  if (read.in_terminal) return attach + "-t " + printable(read.job);
  if (read.out + read.err == 0) return attach + printable(read.job);
  return attach + printable(read.job) + " --from out=" + std::to_string(read.out) +
         ",err=" + std::to_string(read.err);
}

std::string waiting_input_words(const std::vector<std::string>& nodes) {
  constexpr std::size_t kMostNamed = 10;
  std::string list;
  for (std::size_t i = 0; i < std::min(nodes.size(), kMostNamed); ++i)
    list += (i == 0 ? "" : ", ") + printable(nodes[i]);
  if (nodes.size() > kMostNamed)
    list += " and " + std::to_string(nodes.size() - kMostNamed) + " more";
  return "the standard input waits for " + list +
         (nodes.size() == 1 ? ", which does" : ", which do") +
         " not take it; the other nodes get the rest of it when that goes on, or the job there "
         "ends";
}

std::string lost_link_words(const std::string& why, bool goes_on) {
  return "the link is lost (" + printable(why) + "); " +
         (goes_on ? "the job goes on, reconnecting"
                  : "reconnecting, to read what the job wrote before it ended");
}

std::string interrupt_words(Reaction reaction, Unfinished jobs) {
  const std::string again =
      "; again within " + format_duration(InterruptLadder::kAgainWithin) + " stops ";
  switch (reaction) {
    case Reaction::kInterrupt:
      if (jobs.run && (jobs.wait || jobs.pause))
        return "Ctrl-C: INT was sent to the jobs that run, those that wait are stopped" + again +
               "all, Ctrl-\\ leaves them running";
      if (jobs.wait && jobs.pause) return "Ctrl-C: the jobs are stopped: none of them was running";
      if (jobs.wait) return "Ctrl-C: the job is stopped: it had not started yet";
      if (jobs.pause) return "Ctrl-C: the job is stopped: it was between two attempts";
      return "Ctrl-C: INT was sent to the job" + again + "it, Ctrl-\\ leaves it running";
    case Reaction::kStop:
      return "Ctrl-C: the job is stopped, with TERM and after its --grace KILL; "
             "once more leaves at once, the stop goes on";
    case Reaction::kGo:
      break;
  }
  return "Ctrl-C: left at once; the stop goes on";
}

std::string unanswered_words(Deed deed, bool is_link_down) {
  const std::string signal = deed == Deed::kTerm ? "TERM" : "Ctrl-C";
  const std::string next =
      deed == Deed::kTerm ? "a third TERM leaves without it" : "Ctrl-\\ leaves the job as it is";
  return std::string(is_link_down ? "the link is down: " : "the controller does not answer: ") +
         signal + " reaches the job when it is back; " + next;
}

}  // namespace rexec::cli
