// The queue, the groups and what survives a kill -9.
#include "src/store/engine/store.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <vector>

#include "src/base/file.hpp"
#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;

TEST_CASE("store: what was committed is there after a restart, every field of it") {
  const TempDir directory;
  JobRow job = job_row();
  job.record = R"({"outcome":"exited"})";
  job.ended_ms = 5;
  const NodeRow node = node_row("node42");
  const UserRow user = user_row("ann", UserRole::kAdmin);
  TokenRow token = token_row();
  {
    auto store = open_store(directory.path);
    store->start();
    REQUIRE(commit(*store, [&](Database& db) {
      put_job(db, job);
      insert_node(db, node);
      insert_user(db, user);
      insert_token(db, token);
    }));
  }
  auto store = open_store(directory.path);
  const auto all = store->load_all();
  REQUIRE(all);
  CHECK(all->unfinished.empty());
  std::optional<JobRow> found;
  REQUIRE(store->run_now([&](Database& db) { found = find_job(db, job.id); }));
  REQUIRE(found);
  CHECK(found->run == job.run);
  CHECK(found->summary == job.summary);
  CHECK(found->record == job.record);
  CHECK(found->ticket == job.ticket);
  CHECK(found->mode == JobMode::kDetached);
  REQUIRE(all->nodes.size() == 1);
  CHECK(all->nodes[0].labels == node.labels);
  CHECK(all->nodes[0].run_as == "ops");
  REQUIRE(all->users.size() == 1);
  CHECK(all->users[0].role == UserRole::kAdmin);
  REQUIRE(all->tokens.size() == 1);
  CHECK(pki::constant_time_equal(all->tokens[0].secret.bytes(), token.secret.bytes()));
}

TEST_CASE("store: an operation that throws rolls back only itself") {
  const TempDir directory;
  auto store = open_store(directory.path);
  std::vector<std::string> told;
  const auto note = [&](const char* name) {
    return [&told, name](Result<void> r) {
      told.push_back(std::string(name) +
                     (r ? " ok" : " " + std::string(code_name(r.error().code))));
    };
  };
  const JobRow first = job_row(), bad = job_row(), last = job_row();
  store->post([&](Database& db) { put_job(db, first); }, note("first"));
  store->post(
      [&](Database& db) {
        put_job(db, bad);
        append_audit(db, kNow, {"ann", "job.submit", bad.id.text, ""});
        reject(Code::kConflict, "no");
      },
      note("bad"));
  store->post([](Database&) { throw std::runtime_error("a bug"); }, note("bug"));
  store->post(
      [&](Database& db) {
        put_job(db, last);
        append_audit(db, kNow, {"ann", "job.submit", last.id.text, ""});
      },
      note("last"));
  store->start();
  store->stop();
  CHECK(told == std::vector<std::string>{"first ok", "bad conflict", "bug internal", "last ok"});
  CHECK(store->counters().commits == 1);
  store = open_store(directory.path);
  const auto all = store->load_all();
  REQUIRE(all);
  CHECK(all->unfinished.size() == 2);
  CHECK(all->audit.seq == 1);
  REQUIRE(store->run_now([](Database& db) { CHECK(verify_audit(db).why.empty()); }));
}

TEST_CASE("store: an error value commits what was written") {
  const TempDir directory;
  auto store = open_store(directory.path);
  store->start();
  const auto answer = ask<int>(*store, [](Database& db) -> Result<int> {
    append_audit(db, kNow, {"stranger", "enrol_refused", "", ""});
    return fail(Code::kDenied, "no");
  });
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == Code::kDenied);
  const auto rows = ask<std::size_t>(
      *store, [](Database& db) -> Result<std::size_t> { return load_audit(db, 0, 10).size(); });
  CHECK(rows.value() == 1);
}

TEST_CASE("store: what is queued together is committed together, 256 at most") {
  const TempDir directory;
  auto store = open_store(directory.path);
  int committed = 0;
  for (int i = 0; i < 600; ++i) {
    store->post([](Database& db) { put_job(db, job_row()); }, [&](Result<void>) { ++committed; });
  }
  store->start();
  store->stop();
  CHECK(committed == 600);
  CHECK(store->counters().operations == 600);
  CHECK(store->counters().commits >= 3);
}

TEST_CASE("store: operations nobody waits for share a commit, and an urgent one takes them along") {
  const TempDir directory;
  StoreOptions options = options_for(directory.path);
  options.behind_wait = std::chrono::hours(1);
  auto store = Store::open(std::move(options));
  REQUIRE(store);
  (*store)->start();
  std::atomic<int> behind = 0;
  for (int i = 0; i < 10; ++i) {
    (*store)->post([](Database& db) { put_job(db, job_row()); }, [&](Result<void>) { ++behind; },
                   Urgency::kBehind);
  }
  CHECK((*store)->counters().commits == 0);
  REQUIRE(commit(**store, [](Database&) {}));
  CHECK(behind == 10);
  CHECK((*store)->counters().commits == 1);
}

TEST_CASE("store: operations nobody waits for are committed in time, and at the end") {
  const TempDir directory;
  auto store = open_store(directory.path);
  store->start();
  std::promise<void> done;
  store->post([](Database& db) { put_job(db, job_row()); }, [&](Result<void>) { done.set_value(); },
              Urgency::kBehind);
  done.get_future().wait();
  bool ended = false;
  store->post([](Database&) {}, [&](Result<void> r) { ended = r.has_value(); }, Urgency::kBehind);
  store->stop();
  CHECK(ended);
  Code code = Code::kInternal;
  store->post([](Database&) {}, [&](Result<void> r) { code = r.error().code; });
  CHECK(code == Code::kBusy);
}

TEST_CASE("store: a callback may post") {
  const TempDir directory;
  auto store = open_store(directory.path);
  store->start();
  std::promise<void> done;
  store->post([](Database&) {},
              [&](Result<void>) {
                store->post([](Database&) {}, [&](Result<void>) { done.set_value(); });
              });
  done.get_future().wait();
}

TEST_CASE(
    "store: kill -9 after the commit keeps it, before the commit leaves no trace") {  // FAULTS K1,
                                                                                      // K2
  const TempDir directory;
  const JobRow kept = job_row(), lost = job_row();
  kill_child([&](int ready) {
    auto store = open_store(directory.path);
    store->start();
    static_cast<void>(commit(*store, [&](Database& db) { put_job(db, kept); }));
    store->post(
        [&](Database& db) {
          put_job(db, lost);
          report_and_wait(ready);
        },
        {});
    while (true) pause();
  });
  auto store = open_store(directory.path);
  const auto all = store->load_all();
  REQUIRE(all);
  REQUIRE(all->unfinished.size() == 1);
  CHECK(all->unfinished[0].id == kept.id);
}

TEST_CASE("store: the files are 0600 whatever the umask") {  // FAULTS F16
  const TempDir directory;
  const mode_t before = umask(0);
  auto store = open_store(directory.path);
  store->start();
  REQUIRE(commit(*store, [](Database& db) { put_job(db, job_row()); }));
  umask(before);
  for (const char* name : {"controller.db", "controller.db-wal", "controller.lock"}) {
    struct stat status{};
    REQUIRE(stat((directory / name).c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
  }
}

TEST_CASE("store: of 100,000 finished jobs a start reads the keys of their requests alone") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([](Database& db) {
    JobRow job = job_row();
    job.record = std::string(400, 'x');
    for (int i = 0; i < 100'000; ++i) {
      job.id.text = random_id('j');
      job.request = random_id('q');
      ++job.created_ms;
      job.ended_ms = job.created_ms;
      put_job(db, job);
    }
  }));
  store.reset();
  const auto began = std::chrono::steady_clock::now();
  store = open_store(directory.path);
  const auto all = store->load_all();
  const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began);
  REQUIRE(all);
  CHECK(all->unfinished.empty());
  CHECK(all->request_keys.size() == 100'000);
  MESSAGE("opened with 100,000 jobs in ", took.count(), " s");
}

TEST_CASE("store: group commit, as a figure") {
  const TempDir directory;
  auto store = open_store(directory.path);
  store->start();
  const auto began = std::chrono::steady_clock::now();
  constexpr int kMany = 20'000;
  for (int i = 0; i < kMany; ++i) store->post([](Database& db) { put_job(db, job_row()); }, {});
  REQUIRE(commit(*store, [](Database&) {}));
  const auto many = std::chrono::duration<double>(std::chrono::steady_clock::now() - began);
  const auto commits = store->counters().commits;
  const auto second = std::chrono::steady_clock::now();
  constexpr int kLone = 200;
  for (int i = 0; i < kLone; ++i) {
    REQUIRE(commit(*store, [](Database& db) { put_job(db, job_row()); }));
  }
  const auto lone = std::chrono::duration<double>(std::chrono::steady_clock::now() - second);
  const double each = 1e3 * lone.count() / kLone;
  const double rate = kMany / many.count();
  MESSAGE(rate, " operations/s in ", commits, " commits; a lone one ", each, " ms");
}
