// The schedules of a node on its disk: each in files of its own.
#include "src/agent/schedule_files.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "src/job/spec/spec.hpp"
#include "tests/unit/base/temp_dir.hpp"

using namespace rexec;
using namespace rexec::agent;

static ScheduleDefinition definition(const std::string& id) {
  ScheduleDefinition out;
  out.id = id;
  out.name = "beat";
  out.owner = "ann";
  job::JobSpec spec;
  spec.argv = {"true"};
  out.spec = *job::encode_spec(spec);
  return out;
}

static ScheduleProgress progress(std::uint64_t fired) {
  ScheduleProgress out;
  out.cursor = WallTime{Millis{1'795'260'000'000}};
  out.fired = fired;
  return out;
}

TEST_CASE("schedule files: what was kept is there, what was removed is not") {
  const TempDir dir;
  std::filesystem::create_directory(dir.path + "/net");
  CHECK(load_schedules(dir.path).definitions.empty());
  REQUIRE(save_definition(dir.path, definition("s-000000000001")));
  REQUIRE(save_definition(dir.path, definition("s-000000000002")));
  REQUIRE(save_progress(dir.path, "s-000000000001", progress(7)));
  REQUIRE(save_progress(dir.path, "s-000000000003", progress(9)));
  std::ofstream(dir.path + "/net/schedules.d/s-000000000009.new") << "half";
  auto kept = load_schedules(dir.path);
  CHECK(kept.definitions.size() == 2);
  CHECK(kept.progress.size() == 2);
  CHECK(kept.progress.at("s-000000000001").fired == 7);
  remove_definition(dir.path, "s-000000000001");
  remove_progress(dir.path, "s-000000000003");
  kept = load_schedules(dir.path);
  CHECK(kept.definitions.size() == 1);
  CHECK(kept.progress.size() == 1);
}

TEST_CASE("schedule files: those of an earlier version are taken over once") {
  const TempDir dir;
  const std::string id = "s-000000000001";
  std::filesystem::create_directory(dir.path + "/net");
  std::ofstream(dir.path + "/net/schedules")
      << wire::pack({{"schedules", wire::Map::array({encode_definition(definition(id))})}});
  std::ofstream(dir.path + "/net/schedules.state")
      << wire::pack({{"progress", {{id, encode_progress(progress(3))}}}});
  for (int start = 0; start < 2; ++start) {
    const auto kept = load_schedules(dir.path);
    REQUIRE(kept.definitions.contains(id));
    CHECK(kept.progress.at(id).fired == 3);
  }
  CHECK_FALSE(std::filesystem::exists(dir.path + "/net/schedules"));
  CHECK_FALSE(std::filesystem::exists(dir.path + "/net/schedules.state"));
}
