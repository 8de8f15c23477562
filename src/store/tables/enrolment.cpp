// See enrolment.hpp.
#include "src/store/tables/enrolment.hpp"

#include <nlohmann/json.hpp>

#include "src/base/ids.hpp"
#include "src/base/text.hpp"
#include "src/pki/certificate.hpp"
#include "src/store/audit/audit.hpp"
#include "src/store/tables/certificates.hpp"
#include "src/store/tables/nodes.hpp"

namespace rexec::store {
namespace {

using nlohmann::json;

struct Case {
  Database& db;
  const EnrolRequest& request;
  const SignLeaf& sign;
  TokenRow token;
};

std::string subject(const TokenRow& token) { return "token/" + token.id; }

// The refusal with its audit row, which commits because this is a value.
std::unexpected<Error> refuse(const Case& c, const char* verb, Error error) {
  append_audit(c.db, c.request.now,
               {"stranger " + c.request.from, verb, subject(c.token), error.message});
  return std::unexpected(std::move(error));
}

std::unexpected<Error> refuse(const Case& c, Code code, std::string message,
                              std::string hint = {}) {
  return refuse(c, "enrol_refused", Error{code, std::move(message), std::move(hint)});
}

Error spent(const TokenRow& token, const std::string& why) {
  return {Code::kTokenSpent, "token " + token.id + " " + why, "ask for a new one: rexec token new"};
}

// Every label that is asked for must be one that the token grants (FAULTS A5).
bool within(const std::string& asked, const std::string& granted) {
  const json wish = json::parse(asked, nullptr, false);
  const json scope = json::parse(granted, nullptr, false);
  if (!wish.is_object() || !scope.is_object()) return false;
  for (const auto& [key, value] : wish.items()) {
    const auto found = scope.find(key);
    if (found == scope.end() || *found != value) return false;
  }
  return true;
}

Result<Enrolled> again(const Case& c) {
  const bool user = c.token.kind == pki::TokenKind::kUser;
  const auto leaf = pki::parse_certificate(c.token.spent_certificate);
  const auto identity = leaf ? pki::parse_identity(leaf->get()) : std::unexpected(leaf.error());
  if (!identity) return std::unexpected(identity.error());
  const auto row = find_certificate(c.db, identity->serial);
  if (!row || row->revoked) {
    return refuse(c, Code::kRevoked, "what token " + c.token.id + " was spent on was revoked");
  }
  Enrolled done;
  done.certificate = c.token.spent_certificate;
  done.id = c.token.spent_id;
  if (user) {
    if (const auto found = find_user(c.db, UserId{done.id})) done.name = found->name;
  } else if (const auto found = find_node(c.db, NodeId{done.id})) {
    done.name = found->name;
  }
  done.kind = c.token.kind;
  done.serial = identity->serial;
  done.outcome = Enrolled::Kind::kAgain;
  return done;
}

// Signs, records the certificate and spends the token on it.
Enrolled spend(Case& c, const std::string& id, const std::string& name) {
  const bool user = c.token.kind == pki::TokenKind::kUser;
  const auto issued = c.sign(user ? pki::Role::kUser : pki::Role::kNode, id);
  // Thrown: a failure to sign must leave nothing behind, not even the user's row.
  if (!issued) throw OperationError(issued.error());
  insert_certificate(c.db, certificate_row(*issued, c.request.now));
  c.token.spent_by = c.request.key_hash;
  c.token.spent_id = id;
  c.token.spent_from = c.request.from;
  c.token.spent_certificate = issued->der;
  put_token(c.db, c.token);
  Enrolled done;
  done.certificate = issued->der;
  done.id = id;
  done.name = name;
  done.kind = c.token.kind;
  done.serial = issued->identity.serial;
  append_audit(c.db, c.request.now,
               {"stranger " + c.request.from, user ? "user.enrol" : "node.enrol",
                (user ? "user/" : "node/") + id, name + " with " + subject(c.token)});
  return done;
}

Result<Enrolled> enrol_node(Case& c, const std::string& name) {
  const auto holder = find_live_node(c.db, name);
  if (holder && c.token.replace == Replace::kNo) {
    return refuse(c, Code::kConflict, "there is a node named \"" + name + "\" already",
                  "choose another --name, or make a token that replaces it");
  }
  if (holder) remove_node(c.db, holder->id, c.request.now);
  Enrolled done = spend(c, random_id('n'), name);
  NodeRow node{NodeId{done.id},  name,        c.token.labels, done.serial, c.request.now,
               c.request.run_as, std::nullopt};
  insert_node(c.db, node);
  if (holder) done.replaced = holder->id.text;
  return done;
}

// A token for a user who is there already is for another machine of the same person: same id, same
// role, another key.
Result<Enrolled> enrol_user(Case& c, const std::string& name) {
  const auto there = find_live_user(c.db, name);
  const std::string id = there ? there->id.text : random_id('u');
  if (!there) insert_user(c.db, {UserId{id}, name, c.token.user_role, c.request.now, std::nullopt});
  return spend(c, id, name);
}

Result<Enrolled> decide(Case& c) {
  const TokenRow& token = c.token;
  const bool expired = c.request.now >= token.expires;
  if (token.revoked) return refuse(c, "enrol_refused", spent(token, "was revoked"));
  if (!token.spent_by.empty() && token.spent_by != c.request.key_hash) {
    Error error = spent(
        token, "was used already, from " + token.spent_from + " and now from " + c.request.from);
    return refuse(c, "token_replay", std::move(error));
  }
  if (expired) {
    return refuse(c, "enrol_refused", spent(token, "expired at " + to_iso8601(token.expires)));
  }
  if (!token.spent_by.empty()) return again(c);
  const std::string name = c.request.name.empty() ? token.name : c.request.name;
  if (!token.name.empty() && name != token.name) {
    return refuse(c, Code::kDenied, "token " + token.id + " is for \"" + token.name + "\" alone");
  }
  if (auto fit = check_name("name", name); !fit) {
    return refuse(c, Code::kUsage, fit.error().message, fit.error().hint);
  }
  if (!within(c.request.labels, token.labels)) {
    return refuse(c, Code::kDenied, "token " + token.id + " does not grant these labels");
  }
  return token.kind == pki::TokenKind::kUser ? enrol_user(c, name) : enrol_node(c, name);
}

}  // namespace

Result<Enrolled> enrol(Database& db, const EnrolRequest& request, const SignLeaf& sign) {
  auto token = find_token(db, request.token_id);
  if (!token) return fail(Code::kTokenSpent, "no such token", "ask for a new one: rexec token new");
  Case c{db, request, sign, std::move(*token)};
  return decide(c);
}

}  // namespace rexec::store
