// What a node says, read into bounded values before anything is done with it: ids are ids, numbers
// in range, texts short and printable, words known ones. What the controller knows itself (node,
// job, owner) is not read here at all. Pure.
#pragma once

#include <optional>
#include <string>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/job/spec/record_map.hpp"
#include "src/wire/maps.hpp"

namespace rexec::controller {

// Of jobs in one message of a reconciliation, and in a whole one: far more than a node keeps of the
// week that it remembers.
inline constexpr std::size_t kMostInPage = 4'000;
inline constexpr std::size_t kMostNamed = 1'000'000;

struct NodeHello {
  std::string instance;  // compared, and nothing else
  std::string software;
};
NodeHello read_hello(const wire::Map& map);

struct JobReport {
  enum class State { kRunning, kRestarting, kFinal };
  AttemptKey key;
  State state = State::kRunning;
  WallTime started{};  // the default: it has not
  WallTime next{};     // when the attempt after it begins
  std::string held;    // why it stands still: "unread", words, or empty
  std::string ticket;
  wire::Map record = nullptr;  // of an ended attempt, as the node has it: see record_of()
};
// kProtocol, naming the field.
Result<JobReport> read_report(const wire::Map& entry);
// Why a running job stands still, for people; empty when it does not.
std::string held_words(const std::string& why, const JobId& job);
// Never one that the controller made itself: it has its digests, be they empty (Job::ended_here).
wire::Map record_of(const JobReport& report, const std::string& node_name);

struct ScheduleState {
  std::string id;
  std::int64_t revision = 0;
  WallTime cursor{};
  std::uint64_t left = 0;
  wire::Map told;  // the counts and texts of it that people see
};
std::optional<ScheduleState> read_schedule_state(const wire::Map& map);

// Of what a node says of a job's output: {unreachable: "given_up", given_up}, or {} when it has it.
// Older clients know "unreachable" alone.
wire::Map read_lost_output(const wire::Map& said);

// An error that a node answers with. What to do next is never a node's to say, and whether the
// reader is signed in neither.
Error error_of_node(Error error);

// An EVENT that a node sends to the reader of a job. nullopt: it is not one of a node. kProtocol.
Result<std::optional<wire::Map>> read_node_event(ByteSpan payload, const job::KnownAttempt& known,
                                                 WallTime now = wall_now());

}  // namespace rexec::controller
