// What becomes of a job that had a reader and has none: a client that ended is not one that is
// silent, and a node that cannot hear of its clients knows neither. Pure; the supervisor has the
// timer.
#pragma once

#include <string_view>

#include "src/base/clock.hpp"
#include "src/job/ipc/link.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spec/spec.hpp"

namespace rexec::job {

// A restart of the controller or the agent takes seconds, and then the client dials again after at
// most half a minute: so long a job is stopped for nobody's silence.
inline constexpr Nanos kWayBack = std::chrono::seconds(60);
// So long output is held for a reader whose connection is lost, where the job goes on without.
inline constexpr Nanos kHeldWithoutEnd = std::chrono::seconds(5);

struct OnDisconnectRule {
  OnDisconnect how = OnDisconnect::kKeep;
  Millis after{};  // kStopAfter
};
struct Absence {
  link::Gone how = link::Gone::kUnknown;
  BootTime since;  // when the last reader went, in whichever way
  BootTime now;
};
struct Fate {
  BootTime at;              // until then the reader's place is kept
  std::string_view reason;  // of the stop then; empty: the job goes on
};
Fate fate_of(const Absence& absence, const OnDisconnectRule& rule);

}  // namespace rexec::job
