// Renewing a certificate over the session it authenticates: same identity, new dates, recorded
// before it is handed out. kLimit when that was done too often (renewals.hpp).
#pragma once

#include "src/controller/state/hub.hpp"

namespace rexec::controller {

void renew(Hub& hub, const pki::Identity& identity, const wire::Map& args,
           std::function<void(const Result<wire::Map>&)> answered);

}  // namespace rexec::controller
