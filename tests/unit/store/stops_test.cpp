// Stops that wait to be carried out: kept with their grace, for as long as the job has not ended.
#include "src/store/tables/stops.hpp"

#include <doctest/doctest.h>

#include "tests/unit/store/fixture.hpp"

namespace rexec::store {
namespace {

JobRow job_row(const char* id, std::int64_t ended_ms) {
  JobRow row;
  row.id = {id};
  row.owner = {"u-1"};
  row.state = ended_ms == 0 ? "running" : "exited";
  row.created_ms = 1;
  row.ended_ms = ended_ms;
  return row;
}

TEST_CASE("stops: an order is kept with its grace until the job has ended or is removed") {
  TempDir directory;
  const auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    put_job(db, job_row("j-1", 0));
    put_job(db, job_row("j-2", 0));
    put_job(db, job_row("j-3", 5));
    put_stop(db, {{"j-1"}, std::nullopt});
    put_stop(db, {{"j-2"}, 0});
    put_stop(db, {{"j-2"}, 700});  // the later one holds
    put_stop(db, {{"j-3"}, 1});
    const auto rows = load_stops(db);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].job.text == "j-1");
    CHECK_FALSE(rows[0].grace_ms);
    CHECK(rows[1].grace_ms == 700U);
    remove_stop(db, {"j-1"});
    remove_job(db, {"j-2"});
    CHECK(load_stops(db).empty());
  }));
}

}  // namespace
}  // namespace rexec::store
