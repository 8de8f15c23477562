#include "cli/run/end_words.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::cli;

namespace {

std::string said(const EndOf& job, const wire::Map& record) {
  const EndWords words = end_words(job, record);
  std::string all = words.failure ? "! " + words.failure->message + "\n" : "";
  if (!words.ending.empty()) all += words.ending + "\n";
  for (const std::string& remark : words.remarks) all += remark + "\n";
  return all;
}

const EndOf kAlone{"n1", {}, {}, {}};
const EndOf kOne{"n1", "n1: ", {}, {}};

}  // namespace

TEST_CASE("end words: what a local command would not say is not said") {
  CHECK(said(kAlone, {{"outcome", "exited"}, {"code", 0}}).empty());
  CHECK(said(kAlone, {{"outcome", "exited"}, {"code", 3}}).empty());
  CHECK(said(kAlone, {{"outcome", "signaled"}, {"signal", 2}}).empty());
  CHECK(said(kAlone, {{"outcome", "stopped"}}).empty());
}

TEST_CASE("end words: among several each failure has its node") {
  CHECK(said(kOne, {{"outcome", "exited"}, {"code", 3}}) == "n1: exit 3\n");
  CHECK(said(kOne, {{"outcome", "exited"}, {"code", 0}}).empty());
}

TEST_CASE("end words: among several no end that is a failure is without a word") {
  CHECK(said(kOne, {{"outcome", "signaled"}, {"signal", 2}}) == "n1: killed by signal 2 (INT)\n");
  CHECK(said(kOne, {{"outcome", "signaled"}, {"signal", 13}}) ==
        "n1: killed by signal 13 (PIPE)\n");
  CHECK(said(kOne, {{"outcome", "stopped"}, {"signal", 15}}) == "n1: stopped\n");
  CHECK(said(kOne, {{"outcome", "stopped"}, {"reason", "by ann"}}) == "n1: stopped (by ann)\n");
  CHECK(said(kOne, {{"outcome", "lost"}}) == "n1: how the job ended is not known\n");
  CHECK_FALSE(said(kOne, {{"outcome", "timeout"}}).empty());
  EndOf closed = kOne;
  closed.output_wanted = false;
  CHECK(said(closed, {{"outcome", "signaled"}, {"signal", 13}}).empty());
}

TEST_CASE("end words: the way it ended") {
  CHECK(said(kAlone, {{"outcome", "signaled"}, {"signal", 9}}) == "killed by signal 9 (KILL)\n");
  CHECK(said(kAlone, {{"outcome", "signaled"}, {"signal", 9}, {"oom", true}}) ==
        "killed: it ran out of memory\n");
  CHECK(said(kAlone, {{"outcome", "timeout"}}).find("--timeout") != std::string::npos);
  CHECK(said(kAlone, {{"outcome", "timeout"}, {"reason", "idle"}}).find("--idle-timeout") !=
        std::string::npos);
  CHECK(said(kAlone, {{"outcome", "lost"}, {"reason", "reboot"}}) ==
        "how the job ended is not known (reboot)\n");
  CHECK(said(kAlone, {{"outcome", "exited"}, {"code", 0}, {"left_behind", 2}}) ==
        "2 processes left behind were ended, see --children\n");
}

TEST_CASE("end words: output that is missing, unless nobody wanted it") {
  const wire::Map record{
      {"outcome", "exited"}, {"code", 0}, {"complete", false}, {"dropped", {{"out", 5}}}};
  CHECK(said(kAlone, record) ==
        "the output is incomplete: 5 bytes were dropped; the command's own exit code was 0\n");
  EndOf closed = kAlone;
  closed.output_wanted = false;
  CHECK(said(closed, record).empty());
}

TEST_CASE("end words: what was not started is an error with the next step") {
  const EndWords words = end_words(
      kAlone, {{"outcome", "not_started"}, {"reason", "dependency"}, {"message", "j-1 failed"}});
  REQUIRE(words.failure);
  CHECK(words.failure->code == Code::kDependency);
  CHECK(words.failure->message == "n1: j-1 failed");
  CHECK(words.failure->hint == "see: rexec explain dependency");
  CHECK(words.remarks.empty());
  const EndWords many = end_words(kOne, {{"outcome", "not_started"}, {"message", "no\x1b[2J"}});
  REQUIRE(many.failure);
  CHECK(many.failure->hint.empty());
  CHECK(many.failure->message.find('\x1b') == std::string::npos);
}

TEST_CASE("end words: output that nobody has is told apart by who might have it again") {
  const WallTime now(std::chrono::hours(24 * 20000));
  const auto words = [&](wire::Map record) { return unreachable_words(record, "n1", "j-1", now); };
  const Error removed = words({{"unreachable", "removed"}});
  CHECK(removed.code == Code::kIncomplete);
  CHECK(removed.message == "the output is not reachable: node \"n1\" was removed");
  CHECK(removed.hint.find("joined again in its directory") != std::string::npos);
  CHECK(words({{"unreachable", "replaced"}}).message.find("has its name now") != std::string::npos);
  const std::uint64_t now_ms = now.time_since_epoch().count();
  const Error forgotten = words({{"unreachable", "forgotten"}, {"ended_ms", now_ms - 1'000}});
  CHECK(forgotten.message.ends_with("node \"n1\" does not have it any more"));
  CHECK(forgotten.hint.find("joined") == std::string::npos);
  const std::uint64_t long_ago = now_ms - std::uint64_t{8} * 86'400'000;
  CHECK(words({{"unreachable", "forgotten"}, {"ended_ms", long_ago}})
            .message.ends_with("node \"n1\" keeps output for a week, and the job ended at "
                               "2024-09-26T00:00:00.000Z"));
}

TEST_CASE("end words: of output that was given up it is said when, why and what would keep it") {
  const auto words = [](const char* why) {
    const wire::Map record{{"unreachable", "given_up"},
                           {"given_up", {{"why", why}, {"ms", 86'400'000ULL}}}};
    return unreachable_words(record, "n1", "j-1", WallTime{});
  };
  const Error read = words("read");
  CHECK(read.code == Code::kIncomplete);
  CHECK(read.message ==
        "the output is not there any more: node \"n1\" gave it up at 1970-01-02T00:00:00.000Z, "
        "after rexec run had received all of it");
  CHECK(read.hint.find("keep_read_output") != std::string::npos);
  const Error left = words("client_ended");
  CHECK(left.message.ends_with("Z, after the rexec run -i that began the job had ended"));
  CHECK(left.hint.find("--on-disconnect keep") != std::string::npos);
  const Error room = words("room");
  CHECK(room.message.find("T00:00:00.000Z, for want of room") != std::string::npos);
  CHECK(room.hint.find("keep_bytes") != std::string::npos);
}
