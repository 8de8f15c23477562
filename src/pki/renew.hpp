// When to renew a certificate: at half its life, ± 10 % so that a fleet which joined together does
// not renew together. Leaf arithmetic; the caller brings the random number and the clock.
#pragma once

#include "src/base/clock.hpp"
#include "src/pki/identity.hpp"

namespace rexec::pki {

// `random` in [0, 1). The backdated minutes do not count as life, so that short-lived certificates
// work too.
WallTime renew_at(const Identity& identity, double random);
// After the n-th failed attempt (from 0): 1 s doubling to at most 10 min, full jitter, never below
// 1 s.
Millis renew_retry(unsigned failures, double random);

}  // namespace rexec::pki
