// What a job waits for before it may start, as its submit says it: its node, other jobs' ends,
// named slots, and how long at most. Values, their wire form and their stored form, which is the
// same. It decides nothing: queue.* does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/wire/maps.hpp"

namespace rexec::controller {

enum class LockScope : std::uint8_t { kNode, kFleet };

// At most `slots` jobs that name it run at once, on each node or on all together.
struct Lock {
  std::string name;  // as check_name() allows
  std::uint32_t slots = 1;
  LockScope scope = LockScope::kNode;
  bool operator==(const Lock&) const = default;
};

enum class After : std::uint8_t { kOk, kAny, kFail };
std::string_view after_name(After when);

struct Dependency {
  JobId job;  // what a client sends may be a prefix, or a run's id: resolved before it is kept
  After when = After::kOk;
  // Of a job of a DAG that ran on several nodes: the jobs of one group with kFail are one
  // condition, that all have ended and not all of them well. 0: it stands alone.
  std::uint32_t group = 0;
  bool operator==(const Dependency&) const = default;
};

struct Terms {
  Millis queue{0};       // it waits so long at most, whatever for; 0: without end
  Millis online{0};      // for a node that is offline when it is submitted; 0: refused at once
  bool patient = false;  // for its node without end: jobs of a DAG
  std::vector<Lock> locks;
  std::vector<Dependency> after;

  // Something may keep it from starting at once.
  bool any() const { return waits_for_node() || !locks.empty(); }
  // A node that is offline is no reason to refuse it.
  bool waits_for_node() const {
    return patient || queue > Millis{0} || online > Millis{0} || !after.empty();
  }
  bool operator==(const Terms&) const = default;
};

inline constexpr std::size_t kMostLocks = 16;
inline constexpr std::size_t kMostDependencies = 1024;
// Of a DAG's job, which comes after all jobs of an earlier one: the largest fleet there is.
inline constexpr std::size_t kMostStoredDependencies = 16'384;
inline constexpr std::uint32_t kMostSlots = 1'000'000;

// {queue_ms?, online_ms?, patient?, locks?: [{name, slots, fleet}], after?: [{job, when, group?}]}.
// kUsage for what a person wrote wrongly, kProtocol for what no client sends, kLimit.
Result<Terms> read_terms(const wire::Map& map, std::size_t most_after = kMostDependencies);
wire::Map to_map(const Terms& terms);

}  // namespace rexec::controller
