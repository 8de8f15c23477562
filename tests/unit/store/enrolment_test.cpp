// Join tokens: spent once, by one key, with everything that comes of it in one transaction.
#include "src/store/tables/enrolment.hpp"

#include <doctest/doctest.h>

#include "src/pki/certificate.hpp"
#include "src/store/audit/audit.hpp"
#include "src/store/tables/certificates.hpp"
#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;
using namespace std::chrono_literals;

namespace {

struct Office {
  TempDir directory;
  pki::Authority authority = pki::Authority::create(directory.path, "prod", kNow).value();
  pki::Key key = pki::Key::generate();
  TokenRow token = token_row();

  std::unique_ptr<Store> open() const { return open_store(directory.path); }
  SignLeaf sign() const {
    return [this](pki::Role role, const std::string& id) {
      return authority.issue(key.get(), {role, id, kNow, 24h});
    };
  }
  EnrolRequest request(const std::string& from = "10.0.0.1") const {
    EnrolRequest made;
    made.token_id = token.id;
    made.key_hash = to_hex(pki::spki_hash(key.get()));
    made.from = from;
    made.now = kNow;
    return made;
  }
  // In a transaction of its own, as the controller does.
  Result<Enrolled> enrol(Store& store, const EnrolRequest& wish) const {
    Result<Enrolled> done = fail(Code::kInternal, "it did not run");
    const auto ran = store.run_now([&](Database& db) { done = store::enrol(db, wish, sign()); });
    if (!ran) return std::unexpected(ran.error());
    return done;
  }
  std::unique_ptr<Store> with_token() const {
    auto store = open();
    REQUIRE(store->run_now([&](Database& db) { insert_token(db, token); }));
    return store;
  }
};

std::string last_verb(Store& store) {
  std::string verb;
  REQUIRE(store.run_now([&](Database& db) {
    const auto tail = load_audit_tail(db, 1);
    if (!tail.empty()) verb = tail[0].entry.verb + " " + tail[0].entry.detail;
  }));
  return verb;
}

void check_code(const Result<Enrolled>& done, Code code) {
  REQUIRE_FALSE(done);
  CHECK(done.error().code == code);
}

}  // namespace

TEST_CASE("enrol: a token gives a certificate, a node and an audit row") {
  const Office office;
  auto store = office.with_token();
  const auto done = office.enrol(*store, office.request());
  REQUIRE(done);
  CHECK(done->outcome == Enrolled::Kind::kNew);
  CHECK(done->name == "node42");
  const auto leaf = pki::parse_certificate(done->certificate);
  const auto identity = pki::verify_leaf(leaf->get(), office.authority.certificate(), kNow);
  REQUIRE(identity);
  CHECK(identity->id == done->id);
  const auto all = store->load_all();
  REQUIRE(all->nodes.size() == 1);
  CHECK(all->nodes[0].id.text == done->id);
  CHECK(all->nodes[0].labels == office.token.labels);
  REQUIRE(all->certificates.size() == 1);
  CHECK(all->certificates[0].serial == done->serial);
  CHECK(last_verb(*store).starts_with("node.enrol"));
}

TEST_CASE(
    "enrol: the same key gets the same certificate again within the time to live") {  // FAULTS A2
  const Office office;
  auto store = office.with_token();
  const auto first = office.enrol(*store, office.request());
  auto later = office.request();
  later.now = office.token.expires - 1ms;
  const auto second = office.enrol(*store, later);
  REQUIRE(second);
  CHECK(second->certificate == first->certificate);
  CHECK(second->id == first->id);
  CHECK(second->name == first->name);
  CHECK(second->serial == first->serial);
  CHECK(second->outcome == Enrolled::Kind::kAgain);
  later.now = office.token.expires;
  check_code(office.enrol(*store, later), Code::kTokenSpent);
  CHECK(store->load_all()->nodes.size() == 1);
}

TEST_CASE("enrol: a second key is refused and the audit names both addresses") {  // FAULTS A1
  const Office office;
  auto store = office.with_token();
  REQUIRE(office.enrol(*store, office.request("10.0.0.1")));
  auto thief = office.request("10.6.6.6");
  thief.key_hash = std::string(64, 'f');
  check_code(office.enrol(*store, thief), Code::kTokenSpent);
  const std::string row = last_verb(*store);
  CHECK(row.starts_with("token_replay"));
  CHECK(row.find("10.0.0.1") != std::string::npos);
  CHECK(row.find("10.6.6.6") != std::string::npos);
}

TEST_CASE("enrol: expired by a second, revoked and unknown tokens are refused") {  // FAULTS A4
  const Office office;
  auto store = office.with_token();
  auto late = office.request();
  late.now = office.token.expires + 1s;
  check_code(office.enrol(*store, late), Code::kTokenSpent);
  auto unknown = office.request();
  unknown.token_id = "t-000000000000";
  check_code(office.enrol(*store, unknown), Code::kTokenSpent);
  REQUIRE(store->run_now([&](Database& db) { revoke_token(db, office.token.id, kNow); }));
  check_code(office.enrol(*store, office.request()), Code::kTokenSpent);
  CHECK(store->load_all()->nodes.empty());
  CHECK(store->load_all()->certificates.empty());
}

TEST_CASE("enrol: a name or label outside the token's scope is refused") {  // FAULTS A5
  const Office office;
  auto store = office.with_token();
  auto wish = office.request();
  wish.name = "other";
  check_code(office.enrol(*store, wish), Code::kDenied);
  wish = office.request();
  for (const char* labels : {R"({"zone":"b"})", R"({"role":"db"})", "[]", "{", "\"zone\""}) {
    wish.labels = labels;
    check_code(office.enrol(*store, wish), Code::kDenied);
  }
  wish.labels = R"({"zone":"a"})";
  CHECK(office.enrol(*store, wish));
}

TEST_CASE(
    "enrol: names that a shell or an option parser would trip over are refused") {  // FAULTS C3
  Office office;
  office.token.name = "";
  auto store = office.with_token();
  for (const char* name : {"-x", "--help", "", "a b", "a/b", "x\n"}) {
    auto wish = office.request();
    wish.name = name;
    check_code(office.enrol(*store, wish), Code::kUsage);
  }
}

TEST_CASE("enrol: a live node's name is refused unless the token replaces it") {  // FAULTS A11
  Office office;
  auto store = office.with_token();
  const auto old = office.enrol(*store, office.request());
  REQUIRE(old);
  TokenRow second = token_row();
  TokenRow third = token_row();
  third.replace = Replace::kYes;
  REQUIRE(store->run_now([&](Database& db) {
    insert_token(db, second);
    insert_token(db, third);
  }));
  auto wish = office.request();
  wish.token_id = second.id;
  check_code(office.enrol(*store, wish), Code::kConflict);
  wish.token_id = third.id;
  const auto done = office.enrol(*store, wish);
  REQUIRE(done);
  CHECK(done->replaced == old->id);
  CHECK(done->id != old->id);
  REQUIRE(store->run_now([&](Database& db) {
    CHECK(find_certificate(db, old->serial)->revoked);
    CHECK(find_node(db, NodeId{old->id})->removed);
    CHECK_FALSE(find_certificate(db, done->serial)->revoked);
  }));
}

TEST_CASE("enrol: a retry after the identity was revoked does not bring it back") {
  const Office office;
  auto store = office.with_token();
  const auto done = office.enrol(*store, office.request());
  REQUIRE(store->run_now([&](Database& db) { remove_node(db, NodeId{done->id}, kNow); }));
  check_code(office.enrol(*store, office.request()), Code::kRevoked);
}

TEST_CASE("enrol: a user's second machine is the same user with another key") {
  Office office;
  office.token.kind = pki::TokenKind::kUser;
  office.token.name = "ann";
  office.token.labels = "{}";
  office.token.user_role = UserRole::kAdmin;
  auto store = office.with_token();
  const auto first = office.enrol(*store, office.request());
  REQUIRE(first);
  TokenRow other = office.token;
  other.id = random_id('t');
  other.user_role = UserRole::kUser;
  REQUIRE(store->run_now([&](Database& db) { insert_token(db, other); }));
  auto wish = office.request();
  wish.token_id = other.id;
  wish.key_hash = std::string(64, 'e');
  const auto second = office.enrol(*store, wish);
  REQUIRE(second);
  CHECK(second->id == first->id);
  CHECK(second->serial != first->serial);
  REQUIRE(store->load_all()->users.size() == 1);
  CHECK(store->load_all()->users[0].role == UserRole::kAdmin);
}

TEST_CASE("enrol: a failure to sign leaves the token unused and no trace") {
  const Office office;
  auto store = office.with_token();
  const SignLeaf broken = [](pki::Role, const std::string&) -> Result<pki::Issued> {
    return fail(Code::kInternal, "no entropy");
  };
  const auto ran = store->run_now(
      [&](Database& db) { static_cast<void>(store::enrol(db, office.request(), broken)); });
  CHECK_FALSE(ran);
  CHECK(store->load_all()->tokens[0].spent_by.empty());
  CHECK(store->load_all()->certificates.empty());
}

TEST_CASE("enrol: kill -9 between commit and reply, the retry gets the certificate") {  // FAULTS A8
  const Office office;
  office.with_token().reset();
  kill_child([&](int ready) {
    auto store = office.open();
    store->start();
    static_cast<void>(ask<Enrolled>(
        *store, [&](Database& db) { return store::enrol(db, office.request(), office.sign()); }));
    report_and_wait(ready);
  });
  auto store = office.open();
  const auto before = store->load_all();
  REQUIRE(before->nodes.size() == 1);
  const auto done = office.enrol(*store, office.request());
  REQUIRE(done);
  CHECK(done->outcome == Enrolled::Kind::kAgain);
  CHECK(done->certificate == before->tokens[0].spent_certificate);
}

TEST_CASE("enrol: kill -9 before the commit, the token is still unused") {  // FAULTS A9
  const Office office;
  office.with_token().reset();
  kill_child([&](int ready) {
    auto store = office.open();
    static_cast<void>(store->run_now([&](Database& db) {
      static_cast<void>(store::enrol(db, office.request(), office.sign()));
      report_and_wait(ready);
    }));
  });
  auto store = office.open();
  const auto all = store->load_all();
  CHECK(all->tokens[0].spent_by.empty());
  CHECK(all->nodes.empty());
  CHECK(all->certificates.empty());
  CHECK(all->audit.seq == 0);
  auto other = office.request();
  other.key_hash = std::string(64, 'd');
  CHECK(office.enrol(*store, other));
}
