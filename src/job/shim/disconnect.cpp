#include "src/job/shim/disconnect.hpp"

#include <algorithm>

namespace rexec::job {

Fate fate_of(const Absence& absence, const OnDisconnectRule& rule) {
  const bool goes_on = rule.how == OnDisconnect::kKeep;
  if (absence.how == link::Gone::kEnded) return {absence.now, goes_on ? "" : kClientEnded};
  const bool is_known = absence.how == link::Gone::kSilent;
  if (goes_on) return {absence.since + (is_known ? Nanos(0) : kHeldWithoutEnd), ""};
  Nanos wait = rule.how == OnDisconnect::kStopAfter ? Nanos(rule.after) : Nanos(0);
  if (!is_known) wait = std::max(wait, kWayBack);
  return {absence.since + wait, "disconnect"};
}

}  // namespace rexec::job
