// The controller's job table: ids, prefixes, the life cycle.
#include "src/controller/jobs.hpp"

#include <doctest/doctest.h>

using namespace rexec;
using namespace rexec::controller;

namespace {

Job make(const std::string& id) {
  Job job;
  job.key.job = {id};
  job.node = {"n-000000000000"};
  return job;
}

}  // namespace

TEST_CASE("jobs: the same request on the same node is the same job, anything else another") {
  const JobId id = derive_job_id({"u-1"}, "request", {"n-1"});
  CHECK(is_id(id.text, 'j'));
  CHECK(derive_job_id({"u-1"}, "request", {"n-1"}) == id);
  CHECK(derive_job_id({"u-2"}, "request", {"n-1"}) != id);
  CHECK(derive_job_id({"u-1"}, "request2", {"n-1"}) != id);
  CHECK(derive_job_id({"u-1"}, "request", {"n-2"}) != id);
  // the parts are framed: moving a byte from one to the next is another job
  CHECK(derive_job_id({"u-1r"}, "equest", {"n-1"}) != id);
}

TEST_CASE("jobs: those of one request are found by their owner alone, until they are removed") {
  JobTable table;
  for (const auto& [id, owner] : {std::pair{"j-abcd00000001", "u-1"},
                                  {"j-abcd00000002", "u-1"},
                                  {"j-abcd00000003", "u-2"},
                                  {"j-abcd00000004", "u-1"}}) {
    Job job = make(id);
    job.owner = {owner};
    job.request = id == std::string("j-abcd00000004") ? "other" : "request";
    table.add(std::move(job));
  }
  CHECK(table.of_request({"u-1"}, "request").size() == 2);
  CHECK(table.of_request({"u-2"}, "request").size() == 1);
  CHECK(table.of_request({"u-3"}, "request").empty());
  table.remove({{"j-abcd00000001"}});
  REQUIRE(table.of_request({"u-1"}, "request").size() == 1);
  CHECK(table.of_request({"u-1"}, "request").front()->key.job.text == "j-abcd00000002");
}

TEST_CASE("jobs: a prefix of four characters finds its job, an ambiguous one says so") {
  JobTable table;
  table.add(make("j-abcd00000001"));
  table.add(make("j-abcd00000002"));
  table.add(make("j-abce00000003"));
  CHECK((*table.resolve("abce"))->key.job.text == "j-abce00000003");
  CHECK((*table.resolve("j-abcd00000001"))->key.job.text == "j-abcd00000001");
  CHECK(table.resolve("abcd").error().code == Code::kAmbiguousJob);
  CHECK(table.resolve("abc").error().code == Code::kUsage);
  CHECK(table.resolve("zzzz").error().code == Code::kUnknownJob);
}

TEST_CASE("jobs: a final state is reached once and never left") {  // FAULTS J25, I3
  JobTable table;
  Job& job = table.add(make("j-abcd00000001"));
  CHECK(JobTable::apply_running(job, WallTime{Millis{5}}));
  CHECK_FALSE(JobTable::apply_running(job, WallTime{Millis{6}}));
  CHECK(job.started == WallTime{Millis{5}});
  CHECK(JobTable::apply_final(job, {{"outcome", "exited"}, {"code", 0}}, WallTime{Millis{9}}));
  CHECK_FALSE(
      JobTable::apply_final(job, {{"outcome", "lost"}, {"code", 121}}, WallTime{Millis{10}}));
  CHECK_FALSE(JobTable::apply_running(job, WallTime{Millis{11}}));
  CHECK(job.shown_state() == "exited");
  CHECK(job.ended == WallTime{Millis{9}});
}

TEST_CASE("jobs: the newest come first and removed ones are gone") {
  JobTable table;
  table.add(make("j-abcd00000001"));
  table.add(make("j-abcd00000002"));
  CHECK(table.newest(1).front()->key.job.text == "j-abcd00000002");
  table.remove({JobId{"j-abcd00000002"}});
  CHECK(table.newest(5).size() == 1);
  CHECK(table.find({"j-abcd00000002"}) == nullptr);
}
