// What stays of a job with an idempotency key that was removed, and for how long.
#include "src/store/tables/removed_keys.hpp"

#include <algorithm>

#include "src/store/tables/jobs.hpp"
#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;

namespace {

JobRow keyed_job(const std::string& id, const std::string& request) {
  JobRow job = job_row(id);
  job.request = request;
  job.keyed = true;
  job.state = "exited";
  job.ended_ms = kNow.time_since_epoch().count();
  return job;
}

}  // namespace

TEST_CASE(
    "removed keys: a job's key outlives its removal and the process, a mere request does not") {
  const TempDir directory;
  const JobRow with_key = keyed_job("j-keyed", "11");
  JobRow without = keyed_job("j-plain", "22");
  without.keyed = false;
  {
    auto store = open_store(directory.path);
    REQUIRE(store->run_now([&](Database& db) {
      for (const JobRow& job : {with_key, without}) put_job(db, job);
      for (const JobRow& job : {with_key, without}) remove_job_but_key(db, job.id, kNow);
      remove_job_but_key(db, {"j-nothing"}, kNow);
    }));
  }
  auto store = open_store(directory.path);
  const auto all = store->load_all();
  REQUIRE(all);
  CHECK(all->request_keys.empty());
  CHECK(all->removed_keys == std::vector{request_key(with_key.owner, with_key.request)});
  REQUIRE(store->run_now([&](Database& db) {
    CHECK_FALSE(find_job(db, with_key.id));
    const auto kept = find_removed_key(db, with_key.owner, with_key.request);
    REQUIRE(kept);
    CHECK(kept->job == with_key.id);
    CHECK_FALSE(find_removed_key(db, {"u-another"}, with_key.request));
    CHECK_FALSE(find_removed_key(db, without.owner, without.request));
  }));
}

TEST_CASE("removed keys: memory forgets a request when neither a job nor a kept key needs it") {
  const TempDir directory;
  auto store = open_store(directory.path);
  const JobRow a = keyed_job("j-a", "11"), b = keyed_job("j-b", "11"), c = keyed_job("j-c", "22");
  const auto week = std::chrono::hours(7 * 24);
  const std::vector key{request_key(a.owner, "11")};
  REQUIRE(store->run_now([&](Database& db) {
    for (const JobRow& job : {a, b, c}) put_job(db, job);
    remove_job_but_key(db, a.id, kNow);
    CHECK(prune_removed_keys(db, kNow).keys.empty());  // not yet
    CHECK(find_removed_key(db, a.owner, "11"));
    CHECK(prune_removed_keys(db, kNow + week).keys.empty());  // b is still there
    CHECK_FALSE(find_removed_key(db, a.owner, "11"));
    remove_job_but_key(db, b.id, kNow + week);
    CHECK(find_removed_key(db, b.owner, "11")->job == b.id);
    // c goes with its key; that of b was kept a week later.
    const Pruned gone = prune_jobs(db, {kNow + week, kNow + week, 100});
    CHECK(gone.keys == std::vector{request_key(c.owner, "22")});
    CHECK(prune_removed_keys(db, kNow + 2 * week).keys == key);
    CHECK_FALSE(is_request_known(db, b.owner, "11"));
  }));
}

TEST_CASE("removed keys: what one step does not drop is for the next") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    for (const char* id : {"j-a", "j-b", "j-c"}) {
      put_job(db, keyed_job(id, id));
      remove_job_but_key(db, {id}, kNow);
    }
    const WallTime later = kNow + Millis(1);
    const Pruned first = prune_removed_keys(db, later, 2),
                 second = prune_removed_keys(db, later, 2);
    CHECK((first.keys.size() == 2 && first.more));
    CHECK((second.keys.size() == 1 && !second.more));
  }));
}

TEST_CASE("removed keys: a pruned job leaves the request of a removed one known") {
  const TempDir directory;
  auto store = open_store(directory.path);
  const JobRow a = keyed_job("j-a", "11"), b = keyed_job("j-b", "11");
  const WallTime later = kNow + std::chrono::hours(1);
  REQUIRE(store->run_now([&](Database& db) {
    for (const JobRow& job : {a, b}) put_job(db, job);
    remove_job_but_key(db, a.id, later);
    const Pruned gone = prune_jobs(db, {later, later, 100});
    CHECK(gone.ids.size() == 1);
    CHECK(gone.keys.empty());
    CHECK(is_request_known(db, a.owner, "11"));
  }));
}
