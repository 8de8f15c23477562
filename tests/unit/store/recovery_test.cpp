// What a copy is told before it takes the place of the former database.
#include "src/store/file/recovery.hpp"

#include <algorithm>

#include "src/store/tables/removed_jobs.hpp"
#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;

namespace {

const WallTime kLater = kNow + std::chrono::hours(1);

// A copy of the store as it is; the store goes on.
void copy(const TempDir& directory, std::unique_ptr<Store>& store) {
  Result<void> copied = fail(Code::kInternal, "no copy was made");
  store->backup(directory / "copy", {}, [&](Result<void> r) { copied = std::move(r); });
  store->stop();
  REQUIRE(copied);
  store.reset();
  store = open_store(directory.path);
}

Recovery restore(const TempDir& directory) {
  auto done = restore_from(directory / "copy", directory.path);
  REQUIRE(done);
  return *done;
}

JobRow ended_job(const std::string& id) {
  JobRow job = job_row(id);
  job.state = "exited";
  job.ended_ms = kNow.time_since_epoch().count();
  return job;
}

}  // namespace

TEST_CASE("recovery: only tokens that could still be spent are made void") {
  const TempDir directory;
  TokenRow open = token_row(), used = token_row(), past = token_row();
  open.expires = wall_now() + std::chrono::hours(1);
  used.expires = open.expires;
  used.spent_by = std::string(64, 'e');
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    for (const TokenRow& token : {open, used, past}) insert_token(db, token);
  }));
  copy(directory, store);
  store.reset();
  CHECK(restore(directory).tokens_voided == 1);
  store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    CHECK(find_token(db, open.id)->revoked);
    CHECK_FALSE(find_token(db, used.id)->revoked);
    CHECK_FALSE(find_token(db, past.id)->revoked);
    const auto rows = load_audit_tail(db, 1);
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].entry.verb == "token.revoke");
    CHECK(rows[0].entry.object == "token/" + open.id);
  }));
}

TEST_CASE("recovery: what the former database revoked and removed is done again in the copy") {
  const TempDir directory;
  const UserRow admin = user_row("admin", UserRole::kAdmin), bob = user_row("bob", UserRole::kUser);
  const UserRow carl = user_row("carl", UserRole::kUser);
  const NodeRow n1 = node_row("n1"), n2 = node_row("n2"), n3 = node_row("n3");
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    for (const UserRow& user : {admin, bob}) insert_user(db, user);
    for (const NodeRow& node : {n1, n2}) insert_node(db, node);
    for (const char* id : {"j-kept", "j-gone"}) put_job(db, ended_job(id));
    append_audit(db, kNow, {"ann", "job.submit", "job/j-gone", ""});
  }));
  copy(directory, store);
  REQUIRE(store->run_now([&](Database& db) {
    revoke_user(db, bob.id, kLater);
    remove_node(db, n2.id, kLater);
    insert_user(db, carl);
    insert_node(db, n3);
    put_job(db, ended_job("j-later"));
    for (const char* id : {"j-gone", "j-later"}) remove_job_but_key(db, {id}, kLater);
  }));
  store.reset();
  const Recovery done = restore(directory);
  CHECK(done.has_former);
  CHECK(done.copied == kNow);
  CHECK(done.users_revoked == std::vector<std::string>{"bob"});
  CHECK(done.nodes_removed == std::vector<std::string>{"n2"});
  CHECK(done.users_unknown == std::vector<std::string>{"carl"});
  CHECK(done.nodes_unknown == std::vector<std::string>{"n3"});
  CHECK(done.users_kept.empty());
  CHECK(done.jobs_removed == 1);
  store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    CHECK(find_user(db, bob.id)->revoked);
    CHECK_FALSE(find_user(db, admin.id)->revoked);
    CHECK(find_node(db, n2.id)->removed);
    CHECK_FALSE(find_node(db, n1.id)->removed);
    CHECK(find_job(db, {"j-kept"}));
    CHECK_FALSE(find_job(db, {"j-gone"}));
    for (const char* id : {"j-gone", "j-later"}) CHECK(was_job_removed(db, {id}));
    CHECK(verify_audit(db).why.empty());
  }));
}

TEST_CASE("recovery: the last admin of a copy stays, and is named") {
  const TempDir directory;
  const UserRow admin = user_row("admin", UserRole::kAdmin),
                ann = user_row("ann", UserRole::kAdmin);
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) { insert_user(db, admin); }));
  copy(directory, store);
  REQUIRE(store->run_now([&](Database& db) {
    insert_user(db, ann);
    revoke_user(db, admin.id, kLater);
  }));
  store.reset();
  const Recovery done = restore(directory);
  CHECK(done.users_kept == std::vector<std::string>{"admin"});
  CHECK(done.users_revoked.empty());
}

TEST_CASE("recovery: a former database that is older than the copy does not know what came later") {
  const TempDir directory, older;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now(
      [](Database& db) { append_audit(db, kNow, {"ann", "job.submit", "job/j-one", ""}); }));
  copy(directory, store);
  store.reset();
  open_store(older.path).reset();
  const auto done = restore_from(directory / "copy", older.path);
  REQUIRE(done);
  CHECK_FALSE(done->has_former);
  CHECK(done->former_error.empty());
}

TEST_CASE("recovery: without a former database nothing but the tokens is known") {
  const TempDir directory, bare;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([](Database& db) { insert_node(db, node_row("n1")); }));
  copy(directory, store);
  store.reset();
  const auto done = restore_from(directory / "copy", bare.path);
  REQUIRE(done);
  CHECK_FALSE(done->has_former);
  CHECK(done->former_error.empty());
}

TEST_CASE("recovery: a second restore over a restored copy forgets no revocation") {
  const TempDir directory;
  const UserRow admin = user_row("admin", UserRole::kAdmin), bob = user_row("bob", UserRole::kUser);
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    for (const UserRow& user : {admin, bob}) insert_user(db, user);
  }));
  copy(directory, store);
  REQUIRE(store->run_now([&](Database& db) { revoke_user(db, bob.id, kLater); }));
  store.reset();
  for (int time = 0; time < 2; ++time) {
    CHECK(restore(directory).users_revoked == std::vector<std::string>{"bob"});
  }
}

TEST_CASE("removed jobs: an id is known as long as a ticket may be believed") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([](Database& db) {
    put_removed_job(db, {{"j-old"}, kNow});
    put_removed_job(db, {{"j-new"}, kLater});
    prune_removed_jobs(db, kLater);
    CHECK_FALSE(was_job_removed(db, {"j-old"}));
    CHECK(was_job_removed(db, {"j-new"}));
  }));
}
