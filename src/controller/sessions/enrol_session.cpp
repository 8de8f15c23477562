#include "src/controller/sessions/enrol_session.hpp"

#include "src/base/cut_text.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/base/version.hpp"
#include "src/pki/csr.hpp"
#include "src/store/tables/enrolment.hpp"

namespace rexec::controller {
namespace {

// One refusal for an unknown token and for a wrong proof: a stranger learns nothing by trying.
std::unexpected<Error> refuse() {
  return fail(Code::kTokenSpent, "the token is not valid here: wrong, used, expired or revoked",
              "ask for a new one: rexec token new");
}

std::string labels_json(const wire::Map& args) {
  wire::Map out = wire::Map::object();
  const wire::Map& labels = wire::child_or_empty(args, "labels");
  if (labels.is_object())
    for (const auto& [key, value] : labels.items())
      if (value.is_string() && out.size() < 64 && check_name("label", key)) out[key] = value;
  return out.dump();
}

// A name that the machine has of its own, for a token that leaves it open.
std::string host_name(const wire::Map& args) {
  std::string name = wire::text_or(args, "host");
  return check_name("name", name) ? name : std::string();
}

// The store says what is wrong; what to do about it depends on whom the token is for.
Error with_next_step(Error error, const store::TokenRow& token, const std::string& wish) {
  const bool is_open = token.name.empty();
  const std::string name = wish.empty() ? token.name : wish;
  if (token.kind == pki::TokenKind::kUser) {
    if (error.code == Code::kDenied && !is_open && name != token.name)
      error.hint = "sign in without --name, or ask for one: rexec token new --user " + name;
    return error;
  }
  if (error.code == Code::kConflict) {
    error.hint = (is_open ? "choose another: rexec join --name NAME …"
                          : "choose another: rexec token new --node NAME") +
                 std::string("\nor take its place: rexec token new --node ") + name + " --replace";
  } else if (error.code == Code::kDenied && !is_open && name != token.name) {
    error.hint = "join without --name, or ask for one: rexec token new --node " + name;
  } else if (error.code == Code::kDenied) {
    error.hint = "ask for a token that grants them: rexec token new --label K=V";
  }
  return error;
}

// What a node that is there already gets for a token: itself, or a word about the other name.
Result<store::Enrolled> keep(const store::Enrolled& node, const store::TokenRow& token,
                             const std::string& wish) {
  const std::string& wanted = wish.empty() ? token.name : wish;
  if (token.kind == pki::TokenKind::kNode && (wanted.empty() || wanted == node.name) &&
      (token.name.empty() || token.name == node.name))
    return node;
  const std::string& other = wanted == node.name ? token.name : wanted;
  return fail(Code::kConflict,
              "this directory is node \"" + node.name + "\" already, not \"" + other + "\"",
              "a second node on this machine: rexec join --data DIR …\nanother name for this one: "
              "rexec node rm " +
                  node.name + ", then join again");
}

}  // namespace

EnrolSession::EnrolSession(Hub& hub, std::string source, std::string exporter)
    : hub_(hub), source_(std::move(source)), exporter_(std::move(exporter)) {}

void EnrolSession::accept(Hub& hub, net::Arrival arrival) {
  wire::SessionOptions options;
  options.side = wire::Side::kAcceptor;
  options.trust = wire::Trust::kStranger;
  options.now = BootClock::now();
  std::shared_ptr<EnrolSession> session(
      new EnrolSession(hub, std::move(arrival.source), arrival.transport->enrol_exporter()));
  session->driver_ = std::make_shared<net::SessionDriver>(hub.context().get_executor(),
                                                          std::move(arrival.transport), options);
  net::hold_place(session->driver_, std::move(arrival.place));
  session->self_ = session;
  session->driver_->start(*session);
}

void EnrolSession::on_event(wire::Event event) {
  if (auto* hello = std::get_if<wire::event::Hello>(&event)) {
    if (wire::text_or(hello->map, "role") != "enrol")
      return driver_->session().close({Code::kNotSignedIn,
                                       "without a certificate only enrolling is possible",
                                       "rexec login rx1_… or rexec join rx1_…"});
    driver_->session().send_hello(
        {{"role", "controller"}, {"software", std::string(build_version().version)}});
  } else if (auto* request = std::get_if<wire::event::Request>(&event)) {
    if (request->verb != "enrol" || std::exchange(asked_, true))
      return driver_->session().close(
          {Code::kDenied, "without a certificate one may enrol once", {}});
    enrol(request->id, request->args);
  } else if (std::holds_alternative<wire::event::Closed>(event)) {
    asio::post(hub_.context(), [self = std::move(self_)] {});
  }
}

void EnrolSession::answer(wire::RequestId id, const Result<wire::Map>& result) {
  if (!self_) return;
  if (!result)
    hub_.node_log().say(LogLevel::kWarn, NodeNews::kStranger, {}, "enrolment refused",
                        {{"source", source_}, {"why", result.error().message}});
  driver_->session().respond(id, result);
  driver_->flush_soon();
}

void EnrolSession::enrol(wire::RequestId id, const wire::Map& args) {
  fail_point(FailPoint::kControllerJoinReceived);
  auto csr = pki::parse_csr(as_bytes(wire::bin_or(args, "csr")));
  if (!csr) return answer(id, std::unexpected(csr.error()));
  const std::string name = wire::text_or(args, "name");
  if (!name.empty()) {
    auto good = check_name("name", name);
    if (!good) return answer(id, std::unexpected(good.error()));
  }
  store::EnrolRequest request;
  request.token_id = wire::text_or(args, "token_id");
  request.key_hash = to_hex(csr->key_hash);
  request.name = name;
  request.labels = labels_json(args);
  request.run_as = cut_text(wire::text_or(args, "run_as"), 64);
  request.from = source_;
  request.now = wall_now();
  auto shared = std::make_shared<pki::Csr>(std::move(*csr));
  // The store's thread gets nothing of this session: it may be the last to let go of what it has.
  auto operation = [&authority = hub_.authority(), exporter = exporter_, request, shared,
                    csr_der = wire::bin_or(args, "csr"), proof = wire::bin_or(args, "proof"),
                    host = host_name(args),
                    shown =
                        shown_node(args)](store::Database& db) mutable -> Result<store::Enrolled> {
    auto token = store::find_token(db, request.token_id);
    if (!token || !pki::enrol_proof_matches(token->secret, as_bytes(exporter), as_bytes(csr_der),
                                            as_bytes(proof)))
      return refuse();
    if (shown) return keep(*shown, *token, request.name);
    if (request.name.empty() && token->name.empty()) request.name = host;
    if (request.name.empty() && token->name.empty())
      return fail(Code::kUsage, "nothing names this node: not the token, and not its host",
                  "name it: rexec join --name NAME …");
    auto done = store::enrol(db, request, [&](pki::Role role, const std::string& holder) {
      const Millis lifetime = role == pki::Role::kNode ? pki::kNodeLifetime : pki::kUserLifetime;
      return authority.issue(shared->public_key.get(), {role, holder, request.now, lifetime});
    });
    if (!done) return std::unexpected(with_next_step(done.error(), *token, request.name));
    return done;
  };
  hub_.ask<store::Enrolled>(std::move(operation),
                            [this, self = shared_from_this(),
                             id](const Result<store::Enrolled>& done) {
                              if (!done) return answer(id, std::unexpected(done.error()));
                              remember(id, *done);
                            });
}

std::optional<store::Enrolled> EnrolSession::shown_node(const wire::Map& args) {
  const auto leaf = pki::parse_certificate(wire::bin_or(args, "certificate"));
  if (!leaf) return std::nullopt;
  const auto identity = pki::verify_leaf(leaf->get(), hub_.authority().certificate(), wall_now(),
                                         pki::Accept::kExpiredToo);
  if (!identity || identity->role != pki::Role::kNode || !hub_.check(*identity))
    return std::nullopt;
  const Node* node = hub_.registry().find({identity->id});
  if (node == nullptr) return std::nullopt;
  store::Enrolled shown;
  shown.id = node->id.text;
  shown.name = node->name;
  return shown;
}

// The store has it; memory follows by reading the row back, so that both say the same.
void EnrolSession::remember(wire::RequestId id, const store::Enrolled& done) {
  fail_point(FailPoint::kControllerJoinCommitted);
  if (done.certificate.empty())
    return answer(id, wire::Map{{"already", true},
                                {"id", done.id},
                                {"name", done.name},
                                {"cluster", hub_.authority().cluster()}});
  struct Rows {
    std::optional<store::NodeRow> node;
    std::optional<store::UserRow> user;
  };
  hub_.ask<Rows>(
      [done](store::Database& db) -> Result<Rows> {
        Rows rows;
        if (done.kind == pki::TokenKind::kNode)
          rows.node = store::find_node(db, {done.id});
        else
          rows.user = store::find_user(db, {done.id});
        return rows;
      },
      [this, self = shared_from_this(), id, done](Result<Rows> rows) {
        if (!rows) return answer(id, std::unexpected(rows.error()));
        if (!done.replaced.empty()) hub_.forget_node({done.replaced});
        if (rows->node) hub_.add_node(*rows->node);
        if (rows->user) hub_.users()[rows->user->id.text] = *rows->user;
        log_info("enrolled", {{"name", done.name}, {"id", done.id}, {"source", source_}});
        const std::string ca = pki::encode_certificate(hub_.authority().certificate());
        answer(id, wire::Map{{"certificate", wire::bin(done.certificate)},
                             {"ca", wire::bin(ca)},
                             {"id", done.id},
                             {"name", done.name},
                             {"cluster", hub_.authority().cluster()},
                             {"role", done.kind == pki::TokenKind::kNode ? "node" : "user"}});
      });
}

}  // namespace rexec::controller
