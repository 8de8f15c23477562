#include "cli/run/end_words.hpp"

#include <csignal>
#include <cstring>

#include "cli/line/exit_status.hpp"
#include "src/base/text.hpp"
#include "src/job/spec/record.hpp"

namespace rexec::cli {
namespace {

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return std::to_string(number) + (name == nullptr ? "" : " (" + std::string(name) + ")");
}

// The same code, printed: what a command that ended badly is said to have died of.
std::string signal_words(const wire::Map& record) {
  if (wire::bool_or(record, "oom", false)) return "killed: it ran out of memory";
  return "killed by signal " + signal_name(static_cast<int>(wire::u64_or(record, "signal", 0)));
}

std::string failure_words(const wire::Map& record, const std::string& otherwise) {
  const std::string message = wire::text_or(record, "message");
  const std::string reason = wire::text_or(record, "reason");
  if (!message.empty()) return printable(message);
  return otherwise + (reason.empty() ? "" : " (" + printable(reason) + ")");
}

Error why_not_started(const EndOf& job, const wire::Map& record) {
  const std::string reason = wire::text_or(record, "reason");
  const std::string node = printable(job.node);
  const bool alone = job.prefix.empty();
  if (reason == code_name(Code::kNodeOffline))
    return {Code::kNodeOffline, "node \"" + node + "\" is offline, nothing was started there",
            "see: rexec node show " + node};
  const int code = exit_of_record(record);
  const Code cause = code == 127           ? Code::kNotFoundExec
                     : code == 126         ? Code::kNotExecutable
                     : code == kExitDenied ? Code::kDenied
                                           : code_from_name(reason);
  const std::string about = alone ? node + ": " : job.prefix;
  const std::string message = wire::text_or(record, "message");
  // Of several nodes the first step would be told from its neighbours' only.
  if (!job.workdir.empty() && message.starts_with(printable(job.workdir) + ": "))
    return {cause, about + "its directory: " + printable(message),
            alone ? "name one that is on the node: --workdir DIR" : ""};
  return {cause, about + failure_words(record, "the job was not started"),
          alone ? next_step(cause, node, job.not_found) : ""};
}

std::string how_it_was_stopped(const EndOf& job, const wire::Map& record) {
  const std::string reason = wire::text_or(record, "reason");
  if (reason == "client_ended") return "the job was stopped: its client ended";
  if (reason == "disconnect") return "the job was stopped: its client was away (--on-disconnect)";
  if (job.prefix.empty()) return {};  // the code says it, and who stopped it knows
  return "stopped" + (reason.empty() ? "" : " (" + printable(reason) + ")");
}

std::string how_it_ended(const EndOf& job, const wire::Map& record) {
  const std::string outcome = wire::text_or(record, "outcome", "lost");
  const std::uint64_t code = wire::u64_or(record, "code", 0);
  const int signal = static_cast<int>(wire::u64_or(record, "signal", 0));
  if (outcome == "exited" && code != 0 && !job.prefix.empty())
    return "exit " + std::to_string(code);
  // Alone it dies of these as a local command would, without a word; so does a pipeline's that
  // nobody reads any more.
  const bool is_quiet = signal == SIGINT    ? job.prefix.empty()
                        : signal == SIGPIPE ? job.prefix.empty() || !job.output_wanted
                                            : false;
  if (outcome == "signaled" && !is_quiet) return signal_words(record);
  if (outcome == "timeout" && wire::text_or(record, "reason") == "idle")
    return "the job was idle for its --idle-timeout and was ended";
  if (outcome == "timeout") return "the job reached its --timeout and was ended";
  if (outcome == "stopped") return how_it_was_stopped(job, record);
  if (outcome == "lost") return failure_words(record, "how the job ended is not known");
  return {};
}

std::string left_behind(std::uint64_t processes) {
  const bool one = processes == 1;
  return std::to_string(processes) + (one ? " process" : " processes") + " left behind " +
         (one ? "was" : "were") + " ended, see --children";
}

std::string incomplete(const wire::Map& record) {
  const wire::Map& bytes = wire::child_or_empty(record, "dropped");
  const std::uint64_t dropped = wire::u64_or(bytes, "out", 0) + wire::u64_or(bytes, "err", 0);
  return "the output is incomplete" +
         (dropped > 0 ? ": " + std::to_string(dropped) + " bytes were dropped" : "") +
         "; the command's own exit code was " + std::to_string(wire::u64_or(record, "code", 0));
}

WallTime time_in(const wire::Map& map, std::string_view key) {
  return WallTime(Millis(static_cast<std::int64_t>(wire::u64_or(map, key, 0))));
}

Error given_up_words(const wire::Map& given_up, const std::string& name) {
  const std::string gone = "the output is not there any more: " + name + " gave it up at " +
                           to_iso8601(time_in(given_up, "ms"));
  if (wire::text_or(given_up, "why") == "read")
    return {Code::kIncomplete, gone + ", after rexec run had received all of it",
            "to have it kept: rexec submit, or keep_read_output on the node, see rexec-agent(1)"};
  if (wire::text_or(given_up, "why") == "client_ended")
    return {Code::kIncomplete, gone + ", after the rexec run -i that began the job had ended",
            "to have it kept: rexec submit, run -i with --on-disconnect keep, or keep_read_output "
            "on the node, see rexec-agent(1)"};
  return {Code::kIncomplete,
          gone + ", for want of room: the output of ended jobs was more than the node keeps",
          "how much a node keeps: keep_bytes there, see rexec-agent(1)"};
}

}  // namespace

std::string next_step(Code code, const std::string& node, const std::string& not_found) {
  const std::string page = "see: rexec explain " + std::string(code_name(code));
  if (code == Code::kNotFoundExec && !not_found.empty()) return not_found + "\n" + page;
  if (code == Code::kNotFoundExec)
    return "what a shell knows needs one: rexec run --sh 'TEXT' " + node + "\n" + page;
  if (code == Code::kDependency || code == Code::kQueueTimeout) return page;
  if (code == Code::kRefusedByNode || code == Code::kDenied)
    return "see: rexec node show " + node + "\n" + page;
  return code == Code::kInternal ? "" : page;
}

Error unreachable_words(const wire::Map& record, const std::string& node, const std::string& job,
                        WallTime now) {
  const std::string why = wire::text_or(record, "unreachable");
  const std::string name = "node \"" + printable(node) + "\"";
  const std::string what = "the output is not reachable: ";
  const std::string again =
      "once it has joined again in its directory: rexec logs " + printable(job);
  if (why == "removed") return {Code::kIncomplete, what + name + " was removed", again};
  if (why == "replaced")
    return {Code::kIncomplete,
            what + name + " was removed, and the node that has its name now does not have it",
            again};
  if (why == "given_up") return given_up_words(wire::child_or_empty(record, "given_up"), name);
  const std::string show = "see: rexec job show " + printable(job);
  const WallTime ended = time_in(record, "ended_ms");
  if (ended != WallTime{} && now - ended > job::kOutputKept)
    return {Code::kIncomplete,
            what + name + " keeps output for a week, and the job ended at " + to_iso8601(ended),
            show};
  return {Code::kIncomplete, what + name + " does not have it any more", show};
}

EndWords end_words(const EndOf& job, const wire::Map& record) {
  EndWords words;
  const std::string outcome = wire::text_or(record, "outcome", "lost");
  if (outcome == "not_started" || outcome == "unreachable" || outcome == "denied")
    words.failure = why_not_started(job, record);
  if (const std::string how = how_it_ended(job, record); !how.empty())
    words.ending = job.prefix + how;
  if (outcome != "exited" && outcome != "signaled") return words;
  if (const std::uint64_t left = wire::u64_or(record, "left_behind", 0); left > 0)
    words.remarks.push_back(job.prefix + left_behind(left));
  if (!wire::bool_or(record, "complete", true) && job.output_wanted)
    words.remarks.push_back(job.prefix + incomplete(record));
  return words;
}

}  // namespace rexec::cli
