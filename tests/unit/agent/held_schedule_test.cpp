// A schedule on its node: nothing twice, nothing lost, through clocks, restarts and new copies.
#include "src/agent/held_schedule.hpp"

#include <doctest/doctest.h>

#include "src/agent/schedule_codec.hpp"
#include "src/job/spec/spec.hpp"

using namespace rexec;
using namespace rexec::agent;
using namespace std::chrono_literals;
using schedule::CatchUp;
using schedule::Overlap;

static const NodeId kNode{"n-0123456789ab"};
static const WallTime kStart{Millis{1'795'260'000'000}};

static JobId job_of(int n) {
  std::string digits = std::to_string(n);
  return {"j-" + std::string(12 - digits.size(), '0') + digits};
}

// Firings 1 to 8, a minute apart, the first at kStart + 1 min.
static ScheduleDefinition definition(Overlap overlap, CatchUp catch_up, int from = 1) {
  ScheduleDefinition out;
  out.id = "s-0123456789ab";
  out.name = "beat";
  out.revision = 1;
  out.kind = "every";
  out.rule = "1m";
  out.zone = "UTC";
  out.overlap = overlap;
  out.catch_up = catch_up;
  out.owner = "ann";
  job::JobSpec spec;
  spec.argv = {"true"};
  out.spec = *job::encode_spec(spec);
  for (int n = from; n < from + 8; ++n)
    out.firings.push_back({kStart + n * 1min, job_of(n), "k1_ticket"});
  return out;
}

static HeldSchedule held(Overlap overlap, CatchUp catch_up) {
  ScheduleProgress progress;
  progress.cursor = kStart;
  return {kNode, definition(overlap, catch_up), progress};
}

static std::vector<std::string> jobs(const Steps& steps, Step::Kind kind = Step::Kind::kStart) {
  std::vector<std::string> out;
  for (const Step& step : steps)
    if (step.kind == kind) out.push_back(step.firing.job.text);
  return out;
}
using Names = std::vector<std::string>;

// As it comes over the wire or from the disk.
static wire::Map packed(const wire::Map& map) {
  return *wire::parse_map(as_bytes(wire::pack(map)));
}

TEST_CASE("held schedule: each firing starts at its time, once") {
  auto one = held(Overlap::kAllow, CatchUp::kNone);
  CHECK(one.next_due() == kStart + 1min);
  CHECK(one.tick(kStart + 59s).empty());
  CHECK(jobs(one.tick(kStart + 60s)) == Names{job_of(1).text});
  CHECK(one.tick(kStart + 60s).empty());
  CHECK(one.next_due() == kStart + 2min);
  CHECK(one.progress().fired == 1);
}

TEST_CASE("held schedule: a clock that is put back fires nothing twice and goes on in time") {
  auto one = held(Overlap::kAllow, CatchUp::kAll);
  CHECK(jobs(one.tick(kStart + 2min)) == Names{job_of(1).text, job_of(2).text});
  CHECK(one.tick(kStart).empty());
  CHECK(one.tick(kStart + 2min).empty());
  CHECK(jobs(one.tick(kStart + 3min)) == Names{job_of(3).text});
}

TEST_CASE("held schedule: a clock that jumps ahead loses nothing that catch-up wants") {
  auto all = held(Overlap::kAllow, CatchUp::kAll);
  CHECK(jobs(all.tick(kStart + 5min)).size() == 5);
  auto last = held(Overlap::kAllow, CatchUp::kLast);
  CHECK(jobs(last.tick(kStart + 5min + 59s)) == Names{job_of(5).text});
  CHECK(last.progress().skipped == 4);
  auto none = held(Overlap::kAllow, CatchUp::kNone);
  CHECK(none.tick(kStart + 1h).empty());
  CHECK(none.progress().skipped == 8);
}

TEST_CASE("held schedule: what was begun before a crash is begun still, and ends once") {
  auto before = held(Overlap::kQueue, CatchUp::kAll);
  CHECK(jobs(before.tick(kStart + 3min)) == Names{job_of(1).text});
  const auto kept = decode_progress(packed(encode_progress(before.progress())));
  REQUIRE(kept);
  HeldSchedule after(kNode, definition(Overlap::kQueue, CatchUp::kAll), *kept);
  after.restore(kStart + 3min);
  CHECK(after.heard().empty());
  CHECK(after.progress().begun.size() == 1);
  CHECK_FALSE(after.progress().begun.begin()->second.is_started);
  CHECK(after.tick(kStart + 3min).empty());
  CHECK(jobs(after.ended(job_of(1))) == Names{job_of(2).text});
  CHECK(after.ended(job_of(1)).empty());
  CHECK(jobs(after.ended(job_of(2))) == Names{job_of(3).text});
}

TEST_CASE("held schedule: all that a node missed runs in order, whatever the overlap is") {
  for (const Overlap kind : {Overlap::kSkip, Overlap::kReplace, Overlap::kQueue}) {
    auto one = held(kind, CatchUp::kAll);
    one.restore(kStart + 3min + 1s);
    CHECK(one.heard().empty());
    CHECK(jobs(one.tick(kStart + 3min + 2s)) == Names{job_of(1).text});
    CHECK(jobs(one.ended(job_of(1))) == Names{job_of(2).text});
    CHECK(jobs(one.ended(job_of(2))) == Names{job_of(3).text});
    CHECK(one.progress().skipped == 0);
  }
}

TEST_CASE("held schedule: the one that was missed waits for the job from before the outage") {
  for (const CatchUp kind : {CatchUp::kLast, CatchUp::kAll}) {
    auto before = held(Overlap::kSkip, kind);
    CHECK(jobs(before.tick(kStart + 1min)) == Names{job_of(1).text});
    HeldSchedule after(kNode, definition(Overlap::kSkip, kind), before.progress());
    after.restore(kStart + 2min + 1s);
    CHECK(after.heard().empty());
    CHECK(after.tick(kStart + 2min + 1s).empty());
    CHECK(after.tick(kStart + 3min).empty());
    CHECK(after.progress().skipped == 1);  // the third met a running job
    CHECK(jobs(after.ended(job_of(1))) == Names{job_of(2).text});
  }
}

TEST_CASE("held schedule: what was missed waits until the controller was heard, or for a while") {
  const WallTime up = kStart + 2min + 1s;
  for (const CatchUp kind : {CatchUp::kNone, CatchUp::kLast, CatchUp::kAll}) {
    const Names first{job_of(kind == CatchUp::kAll ? 1 : 2).text};
    auto with = held(Overlap::kSkip, kind);
    with.restore(up);
    CHECK(with.next_due() == up + kHearFirst);
    CHECK(with.tick(up + kHearFirst - 1ms).empty());
    CHECK(with.heard().empty());
    CHECK(with.next_due() == kStart + 1min);
    CHECK(jobs(with.tick(up + 1s)) == first);
    auto without = held(Overlap::kSkip, kind);
    without.restore(up);
    CHECK(without.tick(up).empty());
    CHECK(jobs(without.tick(up + kHearFirst)) == first);
  }
}

TEST_CASE("held schedule: what was paused while the node was down does not fire after its start") {
  auto one = held(Overlap::kQueue, CatchUp::kAll);
  one.tick(kStart + 2min);
  HeldSchedule after(kNode, definition(Overlap::kQueue, CatchUp::kAll), one.progress());
  after.restore(kStart + 4min);
  CHECK(after.tick(kStart + 4min).empty());
  CHECK(after.ended(job_of(1)).empty());  // 2 has been waiting since before
  auto paused = definition(Overlap::kQueue, CatchUp::kAll);
  paused.is_paused = true;
  after.replace(paused);
  CHECK(after.heard().empty());
  CHECK(after.tick(kStart + 5min).empty());
  CHECK(after.progress().waiting.empty());
  CHECK(after.progress().fired == 1);
}

TEST_CASE("held schedule: what waited before a restart goes on when the controller was heard") {
  auto one = held(Overlap::kQueue, CatchUp::kAll);
  one.tick(kStart + 3min);
  HeldSchedule after(kNode, definition(Overlap::kQueue, CatchUp::kAll), one.progress());
  after.restore(kStart + 3min + 1s);
  CHECK(after.ended(job_of(1)).empty());
  CHECK(after.next_due() == kStart + 3min + 1s + kHearFirst);
  CHECK(jobs(after.heard()) == Names{job_of(2).text});
  CHECK(jobs(after.ended(job_of(2))) == Names{job_of(3).text});
}

TEST_CASE("held schedule: what comes due after the start is on time, heard or not") {
  auto fresh = held(Overlap::kSkip, CatchUp::kAll);
  fresh.restore(kStart + 55s);
  CHECK(fresh.next_due() == kStart + 1min);
  CHECK(jobs(fresh.tick(kStart + 1min)) == Names{job_of(1).text});
  for (const CatchUp kind : {CatchUp::kNone, CatchUp::kLast}) {
    auto one = held(Overlap::kSkip, kind);
    one.restore(kStart + 2min + 55s);
    CHECK(one.next_due() == kStart + 3min);
    CHECK(jobs(one.tick(kStart + 3min)) == Names{job_of(3).text});
    CHECK(one.progress().skipped == 2);
  }
  // Behind what is to be caught up it keeps its place.
  auto all = held(Overlap::kAllow, CatchUp::kAll);
  all.restore(kStart + 2min + 55s);
  CHECK(all.tick(kStart + 3min).empty());
  all.heard();
  CHECK(jobs(all.tick(kStart + 3min)) == Names{job_of(1).text, job_of(2).text, job_of(3).text});
}

TEST_CASE("held schedule: a clock that is put back after the start does not make it wait") {
  auto one = held(Overlap::kSkip, CatchUp::kAll);
  one.restore(kStart + 3min);
  CHECK(one.tick(kStart).empty());
  CHECK(jobs(one.tick(kStart + 1min)) == Names{job_of(1).text});
}

TEST_CASE("held schedule: a new copy does not bring back what was decided") {
  auto one = held(Overlap::kAllow, CatchUp::kAll);
  one.tick(kStart + 4min);
  one.replace(definition(Overlap::kAllow, CatchUp::kAll, 2));
  CHECK(one.next_due() == kStart + 5min);
  CHECK(jobs(one.tick(kStart + 9min)) ==
        Names{job_of(5).text, job_of(6).text, job_of(7).text, job_of(8).text, job_of(9).text});
}

TEST_CASE("held schedule: replace stops what runs and starts the newest when it has ended") {
  auto one = held(Overlap::kReplace, CatchUp::kNone);
  one.tick(kStart + 1min);
  const Steps second = one.tick(kStart + 2min);
  CHECK(jobs(second, Step::Kind::kStop) == Names{job_of(1).text});
  CHECK(one.tick(kStart + 3min).empty());
  CHECK(jobs(one.ended(job_of(1))) == Names{job_of(3).text});
  CHECK(one.progress().skipped == 1);
}

TEST_CASE("held schedule: a pause skips what waits, and a failed start makes room") {
  auto one = held(Overlap::kQueue, CatchUp::kAll);
  one.tick(kStart + 3min);
  CHECK(jobs(one.failed(job_of(1), "no such user")) == Names{job_of(2).text});
  CHECK(one.progress().failed == 1);
  CHECK(one.progress().error == "no such user");
  CHECK(one.progress().last_job == job_of(2).text);
  auto paused = definition(Overlap::kQueue, CatchUp::kAll);
  paused.is_paused = true;
  one.replace(paused);
  CHECK(one.progress().skipped == 1);
  CHECK(one.tick(kStart + 1h).empty());
  CHECK_FALSE(one.next_due());
  CHECK(one.ended(job_of(2)).empty());
}

TEST_CASE("held schedule: a firing that a node refused has no job to be named") {
  auto one = held(Overlap::kSkip, CatchUp::kNone);
  one.tick(kStart + 1min);
  CHECK(one.progress().last_job == job_of(1).text);
  one.failed(job_of(1), "no such user");
  CHECK(one.progress().last_job.empty());
}

TEST_CASE("held schedule: jitter delays a firing and keeps the order") {
  ScheduleProgress progress;
  progress.cursor = kStart;
  auto jittered = definition(Overlap::kAllow, CatchUp::kAll);
  jittered.jitter = 30s;
  HeldSchedule one(kNode, jittered, progress);
  const auto due = one.next_due();
  REQUIRE(due);
  CHECK(*due >= kStart + 1min);
  CHECK(*due <= kStart + 1min + 30s);
  CHECK(one.tick(*due - 1ms).empty());
  CHECK(jobs(one.tick(*due)) == Names{job_of(1).text});
}

TEST_CASE("schedule codec: what is written is read, and damage is refused") {
  const auto whole = definition(Overlap::kReplace, CatchUp::kLast);
  const wire::Map map = packed(encode_definition(whole));
  const auto again = decode_definition(map);
  REQUIRE(again);
  CHECK(packed(encode_definition(*again)) == map);
  const auto refused = [&](const char* key, const wire::Map& value) {
    wire::Map bad = map;
    bad[key] = value;
    const auto decoded = decode_definition(packed(bad));
    CAPTURE(key);
    CHECK_FALSE(decoded);
  };
  refused("id", "x");
  refused("name", "a b");
  refused("overlap", "maybe");
  refused("catch_up", 7);
  refused("jitter_ms", -1);
  refused("jitter_ms", 90'000'000);
  refused("spec", wire::bin("junk"));
  refused("firings", {{{"nominal_ms", 5}, {"job", "x"}, {"ticket", "t"}}});
  refused("firings", {{{"nominal_ms", -5}, {"job", job_of(1).text}, {"ticket", "t"}}});
  wire::Map backwards = map;
  std::swap(backwards["firings"][0], backwards["firings"][1]);
  CHECK_FALSE(decode_definition(packed(backwards)));
  wire::Map many = map;
  while (many["firings"].size() <= kMaxHeldFirings) many["firings"].push_back(map["firings"][0]);
  CHECK_FALSE(decode_definition(packed(many)));
}
