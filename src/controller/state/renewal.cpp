#include "src/controller/state/renewal.hpp"

#include "src/pki/csr.hpp"

namespace rexec::controller {

void renew(Hub& hub, const pki::Identity& identity, const wire::Map& args,
           std::function<void(const Result<wire::Map>&)> answered) {
  if (auto may = hub.renewals().take(identity, BootClock::now()); !may)
    return answered(std::unexpected(may.error()));
  const std::string der = wire::bin_or(args, "csr");
  auto csr = pki::parse_csr(as_bytes(der));
  if (!csr) return answered(std::unexpected(csr.error()));
  const Millis lifetime =
      identity.role == pki::Role::kNode ? pki::kNodeLifetime : pki::kUserLifetime;
  auto issued = hub.authority().issue(csr->public_key.get(),
                                      {identity.role, identity.id, wall_now(), lifetime});
  if (!issued) return answered(std::unexpected(issued.error()));
  const auto row = store::certificate_row(*issued, wall_now());
  hub.post([row](store::Database& db) { store::insert_certificate(db, row); },
           [answered = std::move(answered), certificate = issued->der](const Result<void>& saved) {
             if (!saved) return answered(std::unexpected(saved.error()));
             answered(wire::Map{{"certificate", wire::bin(certificate)}});
           });
}

}  // namespace rexec::controller
