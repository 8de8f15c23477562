#include "src/controller/enrol_session.hpp"

#include "src/base/log.hpp"
#include "src/base/version.hpp"
#include "src/pki/csr.hpp"
#include "src/store/enrolment.hpp"

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

}  // namespace

EnrolSession::EnrolSession(Hub& hub, std::string source, std::string exporter)
    : hub_(hub), source_(std::move(source)), exporter_(std::move(exporter)) {}

void EnrolSession::accept(Hub& hub, std::unique_ptr<net::TlsTransport> transport,
                          std::string source) {
  wire::SessionOptions options;
  options.side = wire::Side::kAcceptor;
  options.trust = wire::Trust::kStranger;
  options.now = BootClock::now();
  std::shared_ptr<EnrolSession> session(
      new EnrolSession(hub, std::move(source), transport->enrol_exporter()));
  session->driver_ = std::make_shared<net::SessionDriver>(hub.context().get_executor(),
                                                          std::move(transport), options);
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
    log_warn("enrolment refused", {{"source", source_}, {"why", result.error().message}});
  driver_->session().respond(id, result);
  driver_->flush_soon();
}

void EnrolSession::enrol(wire::RequestId id, const wire::Map& args) {
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
  request.run_as = wire::text_or(args, "run_as").substr(0, 64);
  request.from = source_;
  request.now = wall_now();
  auto shared = std::make_shared<pki::Csr>(std::move(*csr));
  auto operation =
      [this, self = self_, request, shared, csr_der = wire::bin_or(args, "csr"),
       proof = wire::bin_or(args, "proof")](store::Database& db) -> Result<store::Enrolled> {
    auto token = store::find_token(db, request.token_id);
    if (!token || !pki::enrol_proof_matches(token->secret, as_bytes(exporter_), as_bytes(csr_der),
                                            as_bytes(proof)))
      return refuse();
    return store::enrol(db, request, [&](pki::Role role, const std::string& holder) {
      const Millis lifetime = role == pki::Role::kNode ? pki::kNodeLifetime : pki::kUserLifetime;
      return hub_.authority().issue(shared->public_key.get(),
                                    {role, holder, request.now, lifetime});
    });
  };
  hub_.ask<store::Enrolled>(std::move(operation),
                            [this, self = self_, id](const Result<store::Enrolled>& done) {
                              if (!done) return answer(id, std::unexpected(done.error()));
                              remember(id, *done);
                            });
}

// The store has it; memory follows by reading the row back, so that both say the same.
void EnrolSession::remember(wire::RequestId id, const store::Enrolled& done) {
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
      [this, self = self_, id, done](Result<Rows> rows) {
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
