// The controller's job table: ids, prefixes, the life cycle.
#include "src/controller/core/jobs.hpp"

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

TEST_CASE("jobs: those whose id begins so are found") {
  JobTable table;
  for (const char* id : {"j-abcd00000001", "j-abcd00000002", "j-abce00000003"}) table.add(make(id));
  REQUIRE(table.with_prefix("j-abce").size() == 1);
  CHECK(table.with_prefix("j-abce").front()->key.job.text == "j-abce00000003");
  CHECK(table.with_prefix("j-abcd").size() == 2);
  CHECK(table.with_prefix("j-zzzz").empty());
}

TEST_CASE("jobs: the last that ended stay, older ones leave, what has not ended never does") {
  JobTable table(2);
  for (int i = 1; i <= 5; ++i) {
    Job& job = table.add(make("j-abcd0000000" + std::to_string(i)));
    table.retire(job.key.job);  // not ended: stays
    if (i == 1) continue;
    JobTable::apply_final(job, {{"outcome", "exited"}}, WallTime{Millis{i}});
    const auto held = table.share(job.key.job);
    table.retire(job.key.job);
    table.retire(job.key.job);  // twice is once
    CHECK(held->is_final());
  }
  CHECK(table.size() == 3);
  CHECK(table.find({"j-abcd00000001"}) != nullptr);
  CHECK(table.find({"j-abcd00000003"}) == nullptr);
  CHECK(table.find({"j-abcd00000004"}) != nullptr);
  CHECK(table.unfinished_on({"n-000000000000"}).size() == 1);
  // One that was removed and is there anew is not taken for the old one.
  table.remove({{"j-abcd00000005"}});
  table.add(make("j-abcd00000005"));
  for (int i = 6; i <= 9; ++i) {
    Job& job = table.add(make("j-abcd0000000" + std::to_string(i)));
    JobTable::apply_final(job, {{"outcome", "exited"}}, WallTime{Millis{i}});
    table.retire(job.key.job);
  }
  CHECK(table.find({"j-abcd00000005"}) != nullptr);
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
  for (const auto& [id, created] :
       {std::pair{"j-abcd00000003", 1}, {"j-abcd00000001", 2}, {"j-abcd00000002", 2}}) {
    Job job = make(id);
    job.created = WallTime{Millis{created}};
    table.add(std::move(job));
  }
  std::vector<std::string> ids;
  for (const auto& [place, job] : table.newest_first()) ids.push_back(job->key.job.text);
  CHECK(ids == std::vector<std::string>{"j-abcd00000002", "j-abcd00000001", "j-abcd00000003"});
  const auto waiting = table.unfinished_on({"n-000000000000"});
  REQUIRE(waiting.size() == 3);
  CHECK(waiting.front()->key.job.text == "j-abcd00000003");
  table.remove({JobId{"j-abcd00000002"}});
  CHECK(table.newest_first().size() == 2);
  CHECK(table.find({"j-abcd00000002"}) == nullptr);
}

TEST_CASE("jobs: attempts lead on and never back, and a final state ends them all") {
  Job job = make("j-abcd00000001");
  const WallTime soon{Millis{5'000}};
  CHECK(JobTable::apply_running(job, WallTime{Millis{1}}));
  CHECK(JobTable::apply_restarting(job, job.key, soon));
  CHECK(job.shown_state() == "restarting");
  CHECK_FALSE(JobTable::apply_restarting(job, job.key, soon));  // told again
  CHECK(JobTable::apply_attempt(job, 2, WallTime{Millis{6'000}}));
  CHECK(job.shown_state() == "running");
  CHECK_FALSE(job.next_attempt);
  const AttemptKey first{job.key.job, 1};
  CHECK_FALSE(JobTable::apply_restarting(job, first, soon));  // late news of an attempt before
  CHECK_FALSE(JobTable::apply_attempt(job, 1, soon));
  CHECK(JobTable::apply_final(job, {{"outcome", "exited"}}, soon));
  CHECK_FALSE(JobTable::apply_attempt(job, 3, soon));
  CHECK_FALSE(JobTable::apply_restarting(job, job.key, soon));
  CHECK(job.key.attempt == 2);
}

TEST_CASE("jobs: an end is kept when it was retired, or is not here") {
  JobTable table;
  Job& job = table.add(make("j-0000000000aa"));
  const JobId id = job.key.job;
  CHECK_FALSE(table.is_end_kept(id));
  REQUIRE(JobTable::apply_final(job, record_without_run(job, "stopped", 143, "stop"), WallTime{}));
  CHECK_FALSE(table.is_end_kept(id));
  CHECK(table.retire(id));
  CHECK(table.is_end_kept(id));
  table.remove({id});
  CHECK(table.is_end_kept(id));
}
