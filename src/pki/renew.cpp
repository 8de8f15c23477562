// See renew.hpp.
#include "src/pki/renew.hpp"

#include <algorithm>

#include "src/pki/certificate.hpp"

namespace rexec::pki {

WallTime renew_at(const Identity& identity, double random) {
  const WallTime issued = std::min(identity.not_before + kBackdate, identity.not_after);
  const auto life = static_cast<double>((identity.not_after - issued).count());
  const double part = 0.5 * (0.9 + 0.2 * std::clamp(random, 0.0, 1.0));
  return issued + Millis(static_cast<Millis::rep>(life * part));
}

Millis renew_retry(unsigned failures, double random) {
  constexpr double kFirst = 1000;
  constexpr double kMost = 600'000;
  const double cap = std::min(kMost, kFirst * static_cast<double>(1U << std::min(failures, 20U)));
  return Millis(static_cast<Millis::rep>(std::max(kFirst, cap * std::clamp(random, 0.0, 1.0))));
}

}  // namespace rexec::pki
