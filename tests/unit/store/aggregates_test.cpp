// The tables one by one: what each refuses, and the audit chain.
#include <SQLiteCpp/Database.h>
#include <doctest/doctest.h>

#include <chrono>

#include "src/pki/certificate.hpp"
#include "src/store/audit/audit.hpp"
#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;
using namespace std::chrono_literals;

namespace {

struct Tables {
  TempDir directory;
  std::unique_ptr<Store> store = open_store(directory.path);
  Result<void> run(Store::Operation operation) { return store->run_now(std::move(operation)); }
  void change(const std::string& sql) {
    store.reset();
    {
      SQLite::Database db(directory / "controller.db", SQLite::OPEN_READWRITE);
      db.exec(sql);
    }
    store = open_store(directory.path);
  }
};

Code code_of(const Result<void>& result) {
  REQUIRE_FALSE(result);
  return result.error().code;
}

CertificateRow certificate(const std::string& serial, const std::string& id) {
  return {serial, pki::Role::kNode, id, std::string(64, 'a'), kNow, kNow + 24h, std::nullopt};
}

}  // namespace

TEST_CASE("nodes: a live name is unique, a removed one is free again") {
  Tables tables;
  const NodeRow first = node_row("node42");
  NodeRow second = node_row("node42");
  REQUIRE(tables.run([&](Database& db) { insert_node(db, first); }));
  CHECK(code_of(tables.run([&](Database& db) { insert_node(db, second); })) == Code::kConflict);
  REQUIRE(tables.run([&](Database& db) { remove_node(db, first.id, kNow); }));
  REQUIRE(tables.run([&](Database& db) { insert_node(db, second); }));
  NodeRow third = node_row("other");
  REQUIRE(tables.run([&](Database& db) { insert_node(db, third); }));
  third.name = "node42";
  CHECK(code_of(tables.run([&](Database& db) { update_node(db, third); })) == Code::kConflict);
  second.labels = "{}";
  REQUIRE(tables.run([&](Database& db) { update_node(db, second); }));
  CHECK(tables.store->load_all()->nodes.size() == 3);
  const NodeId nobody{"n-000000000000"};
  CHECK(code_of(tables.run([&](Database& db) { remove_node(db, nobody, kNow); })) ==
        Code::kUnknownNode);
}

TEST_CASE("nodes: removing one revokes its certificates and no others") {
  Tables tables;
  const NodeRow node = node_row("a");
  const NodeRow other = node_row("b");
  REQUIRE(tables.run([&](Database& db) {
    insert_node(db, node);
    insert_node(db, other);
    insert_certificate(db, certificate("01", node.id.text));
    insert_certificate(db, certificate("02", node.id.text));
    insert_certificate(db, certificate("03", other.id.text));
    remove_node(db, node.id, kNow);
    CHECK(find_certificate(db, "01")->revoked);
    CHECK(find_certificate(db, "02")->revoked);
    CHECK_FALSE(find_certificate(db, "03")->revoked);
  }));
}

TEST_CASE("users: the last admin stays one") {  // FAULTS A22
  Tables tables;
  const UserRow ann = user_row("ann", UserRole::kAdmin);
  const UserRow bob = user_row("bob", UserRole::kUser);
  REQUIRE(tables.run([&](Database& db) {
    insert_user(db, ann);
    insert_user(db, bob);
  }));
  CHECK(code_of(tables.run([&](Database& db) { revoke_user(db, ann.id, kNow); })) == Code::kDenied);
  CHECK(code_of(tables.run([&](Database& db) { set_user_role(db, ann.id, UserRole::kUser); })) ==
        Code::kDenied);
  REQUIRE(tables.run([&](Database& db) { set_user_role(db, bob.id, UserRole::kAdmin); }));
  REQUIRE(tables.run([&](Database& db) { revoke_user(db, ann.id, kNow); }));
  CHECK(code_of(tables.run([&](Database& db) { revoke_user(db, bob.id, kNow); })) == Code::kDenied);
  CHECK(code_of(tables.run([&](Database& db) { revoke_user(db, ann.id, kNow); })) ==
        Code::kUnknownObject);
  CHECK(parse_user_role("root").error().code == Code::kUsage);
}

TEST_CASE("certificates: pruned only after their renewal grace") {
  Tables tables;
  REQUIRE(tables.run([](Database& db) {
    insert_certificate(db, certificate("01", "n-0123456789ab"));
    CHECK(prune_certificates(db, kNow + 24h + pki::kRenewalGrace) == 0);
    CHECK(prune_certificates(db, kNow + 24h + pki::kRenewalGrace + 1ms) == 1);
  }));
}

TEST_CASE("jobs: the same request again changes nothing, with another command it is a conflict") {
  Tables tables;
  JobRow job = job_row();
  REQUIRE(tables.run([&](Database& db) { CHECK(insert_job(db, job) == Inserted::kYes); }));
  job.state = "running";
  REQUIRE(tables.run([&](Database& db) {
    CHECK(insert_job(db, job) == Inserted::kAlready);
    CHECK(find_job(db, job.id)->state == "accepted");
    update_job(db, job);
    CHECK(find_job(db, job.id)->state == "running");
  }));
  job.spec_hash = std::string(64, 'z');
  CHECK(code_of(tables.run([&](Database& db) { insert_job(db, job); })) == Code::kConflict);
  const JobRow unknown = job_row();
  CHECK(code_of(tables.run([&](Database& db) { update_job(db, unknown); })) == Code::kUnknownJob);
}

TEST_CASE("jobs: only ended ones are pruned, the oldest first") {
  Tables tables;
  JobRow old = job_row(), young = job_row(), running = job_row();
  old.created_ms = 1;
  old.ended_ms = 2;
  old.request = "old";
  young.created_ms = 3;
  young.ended_ms = 9;
  running.created_ms = 2;
  REQUIRE(tables.run([&](Database& db) {
    for (const JobRow& job : {old, young, running}) put_job(db, job);
    const Pruned gone = prune_jobs(db, {WallTime(Millis(9)), WallTime(Millis(9))});
    CHECK(gone.ids == std::vector<JobId>{old.id});
    CHECK(gone.keys == std::vector<std::uint64_t>{request_key(old.owner, "old")});
    CHECK_FALSE(gone.more);
    CHECK(find_job(db, young.id));
    REQUIRE(load_unfinished_jobs(db).size() == 1);
    CHECK(load_unfinished_jobs(db).front().id == running.id);
    // The key of a request stays for as long as one of its jobs does.
    CHECK(prune_jobs(db, {WallTime(Millis(99)), WallTime(Millis(99))}).keys.empty());
    CHECK(load_request_keys(db) ==
          std::vector<std::uint64_t>{request_key(running.owner, running.request)});
  }));
}

TEST_CASE("jobs: one submitted with a key of its own outlives the others") {
  Tables tables;
  JobRow plain = job_row(), keyed = job_row();
  plain.ended_ms = keyed.ended_ms = 10;
  keyed.keyed = true;
  REQUIRE(tables.run([&](Database& db) {
    put_job(db, plain);
    put_job(db, keyed);
    CHECK(prune_jobs(db, {WallTime(Millis(50)), WallTime(Millis(10))}).ids ==
          std::vector<JobId>{plain.id});
    CHECK(find_job(db, keyed.id)->keyed);
    CHECK(prune_jobs(db, {WallTime(Millis(50)), WallTime(Millis(11))}).ids ==
          std::vector<JobId>{keyed.id});
  }));
}

TEST_CASE("specs: kept once, byte for byte, as long as a job has them") {
  Tables tables;
  JobRow first = job_row(), second = job_row();
  first.ended_ms = 1;
  const std::string spec("a\0b\xff", 4);
  REQUIRE(tables.run([&](Database& db) {
    put_job(db, first);
    put_job(db, second);
    put_spec(db, first.spec_hash, spec);
    put_spec(db, first.spec_hash, spec);
    CHECK(find_spec(db, first.spec_hash) == spec);
    prune_jobs(db, {WallTime(Millis(2)), WallTime(Millis(2))});
    CHECK(find_spec(db, first.spec_hash) == spec);
    remove_job(db, second.id);
    CHECK_FALSE(find_spec(db, first.spec_hash));
  }));
}

TEST_CASE("specs: whether another job has one is no walk over all jobs") {
  Tables tables;
  REQUIRE(tables.run([&](Database& db) {
    for (int i = 0; i < 100; ++i) {
      JobRow job = job_row();
      job.spec_hash = std::string(60, 'a') + std::to_string(1000 + i);
      job.ended_ms = 1;
      put_job(db, job);
      put_spec(db, job.spec_hash, "spec");
    }
    CHECK(prune_jobs(db, {WallTime(Millis(2)), WallTime(Millis(2)), 50}).ids.size() == 50);
    CHECK(steps_of_scans(db) == 0);
  }));
}

TEST_CASE("audit: any changed, removed or added row is named") {  // FAULTS A23
  Tables tables;
  REQUIRE(tables.run([](Database& db) {
    for (int i = 0; i < 20; ++i) append_audit(db, kNow, {"ann", "job.submit", "j", "detail"});
  }));
  const auto bad_row = [&] {
    AuditReport report;
    REQUIRE(tables.run([&](Database& db) { report = verify_audit(db); }));
    return report.bad_seq;
  };
  CHECK(bad_row() == 0);
  tables.change("UPDATE audit SET detail = 'Detail' WHERE seq = 7");
  CHECK(bad_row() == 7);
  tables.change("UPDATE audit SET detail = 'detail' WHERE seq = 7");
  CHECK(bad_row() == 0);
  tables.change("UPDATE audit SET wall = wall + 1 WHERE seq = 20");
  CHECK(bad_row() == 20);
  tables.change("UPDATE audit SET wall = wall - 1 WHERE seq = 20");
  tables.change("DELETE FROM audit WHERE seq = 5");
  CHECK(bad_row() == 6);
}

TEST_CASE("audit: a witness tells a cut tail and a rewritten chain") {  // FAULTS A25
  Tables tables;
  AuditHead witness;
  REQUIRE(tables.run([&](Database& db) {
    for (int i = 0; i < 10; ++i) append_audit(db, kNow, {"ann", "x", "", std::to_string(i)});
    witness = db.audit_head();
    append_audit(db, kNow, {"ann", "x", "", "later"});
    CHECK(verify_audit(db, witness).why.empty());
  }));
  tables.change("DELETE FROM audit WHERE seq > 8");
  REQUIRE(tables.run([&](Database& db) {
    CHECK(verify_audit(db).why.empty());
    CHECK(verify_audit(db, witness).bad_seq == 9);
    for (int i = 0; i < 5; ++i) append_audit(db, kNow, {"eve", "x", "", "forged"});
    CHECK(verify_audit(db).why.empty());
    CHECK(verify_audit(db, witness).bad_seq == 10);
  }));
}

TEST_CASE("audit: fields cannot borrow bytes from their neighbours") {
  AuditRow a{1, kNow, {"ab", "c", "", ""}, "", ""};
  AuditRow b{1, kNow, {"a", "bc", "", ""}, "", ""};
  CHECK(audit_hash(a) != audit_hash(b));
}

TEST_CASE("audit: verified offline, and not while a controller runs") {
  Tables tables;
  REQUIRE(tables.run([](Database& db) { append_audit(db, kNow, {"ann", "x", "", ""}); }));
  CHECK(verify_audit_file(tables.directory.path).error().code == Code::kBusy);
  tables.store.reset();
  const auto report = verify_audit_file(tables.directory.path);
  REQUIRE(report);
  CHECK(report->rows == 1);
  CHECK(report->why.empty());
  CHECK(report->head.seq == 1);
}

TEST_CASE("audit: reading goes page by page") {
  Tables tables;
  REQUIRE(tables.run([](Database& db) {
    for (int i = 0; i < 7; ++i) append_audit(db, kNow, {"ann", "x", "", std::to_string(i)});
    CHECK(load_audit(db, 0, 5).size() == 5);
    CHECK(load_audit(db, 5, 5).size() == 2);
    CHECK(load_audit(db, 5, 5)[0].seq == 6);
    CHECK(load_audit_tail(db, 2)[0].seq == 7);
  }));
}

TEST_CASE("audit: the speed of verifying, as a figure") {  // FAULTS S18
  Tables tables;
  static constexpr int kRows = 200'000;
  REQUIRE(tables.run([](Database& db) {
    for (int i = 0; i < kRows; ++i) {
      append_audit(
          db, kNow,
          {"user/u-0123456789ab ann", "job.submit", "job/j-0123456789ab", R"({"node":"node42"})"});
    }
  }));
  REQUIRE(tables.run([](Database& db) {
    const auto began = std::chrono::steady_clock::now();
    CHECK(verify_audit(db).rows == kRows);
    const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began);
    const double rate = kRows / took.count();
    MESSAGE(rate, " rows/s");
  }));
}

TEST_CASE("tables: a broken constraint costs one operation and is no reason to end") {
  Tables tables;
  const NodeRow node = node_row("a");
  REQUIRE(tables.run([&](Database& db) { insert_node(db, node); }));
  CHECK(code_of(tables.run([&](Database& db) {
          db.connection().exec("INSERT INTO nodes SELECT * FROM nodes");
        })) == Code::kStore);
  CHECK(tables.store->load_all()->nodes.size() == 1);
}

TEST_CASE("schedules: a name is one schedule's, a row comes back whole, damage is found") {
  Tables tables;
  ScheduleRow row;
  row.id = "s-0123456789ab";
  row.name = "nightly";
  row.owner = {"u-0123456789ab"};
  row.owner_name = "ann";
  row.targets = "@all";
  row.kind = "cron";
  row.rule = "30 2 * * *";
  row.zone = "Europe/Rome";
  row.overlap = "skip";
  row.catch_up = "last";
  row.jitter_ms = 300'000;
  row.spec = std::string("\0spec\xff", 6);
  row.summary = "true";
  row.created = row.since = kNow;
  REQUIRE(tables.run([&](Database& db) { insert_schedule(db, row); }));
  ScheduleRow second = row;
  second.id = "s-0123456789ac";
  CHECK(code_of(tables.run([&](Database& db) { insert_schedule(db, second); })) == Code::kConflict);
  CHECK(code_of(tables.run([&](Database& db) { update_schedule(db, second); })) ==
        Code::kUnknownObject);
  row.state = ScheduleState::kPaused;
  ++row.revision;
  REQUIRE(tables.run([&](Database& db) { update_schedule(db, row); }));
  auto loaded = tables.store->load_all();
  REQUIRE(loaded);
  REQUIRE(loaded->schedules.size() == 1);
  CHECK(loaded->schedules[0].spec == row.spec);
  CHECK(loaded->schedules[0].state == ScheduleState::kPaused);
  CHECK(loaded->schedules[0].revision == 2);
  tables.change("UPDATE schedules SET rule = '31 2 * * *'");
  loaded = tables.store->load_all();
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == Code::kStore);
  tables.change("UPDATE schedules SET rule = '30 2 * * *'");
  REQUIRE(tables.run([&](Database& db) { remove_schedule(db, row.id); }));
  CHECK(code_of(tables.run([&](Database& db) { remove_schedule(db, row.id); })) ==
        Code::kUnknownObject);
}
