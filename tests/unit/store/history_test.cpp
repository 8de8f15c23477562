// Whether a database is a continuation of what somebody saw of it.
#include "src/store/audit/history.hpp"

#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;

namespace {

std::string compare(Store& store, const Seen& seen) {
  std::string why = "the operation failed";
  REQUIRE(store.run_now([&](Database& db) { why = contradiction(db, seen); }));
  return why;
}

}  // namespace

TEST_CASE("history: what was seen of it is in it, what was not is not") {  // FAULTS A25
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->begin_run("e-one"));
  AuditRow row;
  REQUIRE(store->run_now(
      [&](Database& db) { row = append_audit(db, kNow, {"ann", "job.submit", "j", ""}); }));
  CHECK(store->run_commits() == 1);
  REQUIRE(store->run_now([](Database& db) { find_job(db, {"j-none"}); }));
  CHECK(store->run_commits() == 1);  // nothing was changed
  CHECK(compare(*store, {}).empty());
  CHECK(compare(*store, {"e-one", 1, {row.seq, row.hash}}).empty());
  CHECK(compare(*store, {"e-one", 0, {}}).empty());
  CHECK_FALSE(compare(*store, {"e-one", 2, {}}).empty());
  CHECK_FALSE(compare(*store, {"e-two", 0, {}}).empty());
  CHECK_FALSE(compare(*store, {"e-one", 1, {row.seq, std::string(64, 'f')}}).empty());
  CHECK_FALSE(compare(*store, {"e-one", 1, {row.seq + 1, row.hash}}).empty());
}

TEST_CASE("history: a copy that was put back lacks what came after it, whatever it does since") {
  const TempDir directory;
  const auto change = [](Store& store) {
    return store.run_now([](Database& db) { put_job(db, job_row()); });
  };
  auto store = open_store(directory.path);
  REQUIRE(store->begin_run("e-one"));
  REQUIRE(change(*store));
  std::promise<Result<void>> copied;
  store->backup(directory / "copy", {}, [&](Result<void> r) { copied.set_value(std::move(r)); });
  store->start();
  REQUIRE(copied.get_future().get());
  REQUIRE(commit(*store, [](Database& db) { put_job(db, job_row()); }));
  const Seen seen{"e-one", store->run_commits(), {}};
  store.reset();
  REQUIRE(restore_from(directory / "copy", directory.path));
  store = open_store(directory.path);
  REQUIRE(store->begin_run("e-two"));
  for (int i = 0; i < 5; ++i) REQUIRE(change(*store));
  CHECK_FALSE(compare(*store, seen).empty());
}

TEST_CASE("history: what was seen of an accepted run is believed, of no other") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->begin_run("e-one"));
  const Seen alien{"e-alien", 5, {7, std::string(64, 'f')}};
  const Seen more{"e-one", 1'000, {}};
  CHECK_FALSE(compare(*store, alien).empty());
  REQUIRE(store->run_now([&](Database& db) { accept_run(db, alien.run, kNow); }));
  CHECK(compare(*store, alien).empty());
  CHECK_FALSE(compare(*store, more).empty());
  CHECK_FALSE(compare(*store, {"e-other", 0, {}}).empty());
  // Also of our own, which goes on counting.
  REQUIRE(store->run_now([&](Database& db) {
    accept_run(db, more.run, kNow);
    accept_run(db, more.run, kNow);
  }));
  REQUIRE(store->run_now([](Database& db) { put_job(db, job_row()); }));
  CHECK(compare(*store, more).empty());
}
