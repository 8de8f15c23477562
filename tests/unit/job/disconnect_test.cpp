// What becomes of a job whose readers are gone, for each way to go and each rule.
#include "src/job/shim/disconnect.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace rexec;
using namespace rexec::job;
using link::Gone;

namespace {

constexpr BootTime kWent{std::chrono::seconds(100)};
constexpr BootTime kNow{std::chrono::seconds(130)};
constexpr Millis kSecond{1000}, kMinute{60'000};

struct Case {
  OnDisconnect rule;
  Millis after;
  BootTime at;
  std::string_view reason;
};

Fate fate(Gone how, const Case& one) { return fate_of({how, kWent, kNow}, {one.rule, one.after}); }

void check(Gone how, const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    CAPTURE(static_cast<int>(one.rule));
    CAPTURE(one.after.count());
    CHECK(fate(how, one).at == one.at);
    CHECK(fate(how, one).reason == one.reason);
  }
}

}  // namespace

TEST_CASE("disconnect: a client that ended takes its job along, unless the job is to be kept") {
  check(Gone::kEnded, {{OnDisconnect::kKeep, {}, kNow, ""},
                       {OnDisconnect::kStop, {}, kNow, "client_ended"},
                       {OnDisconnect::kStopAfter, kMinute * 10, kNow, "client_ended"}});
}

TEST_CASE("disconnect: the rule counts from the moment at which a silent client was last there") {
  check(Gone::kSilent,
        {{OnDisconnect::kKeep, {}, kWent, ""},
         {OnDisconnect::kStop, {}, kWent, "disconnect"},
         {OnDisconnect::kStopAfter, kSecond, kWent + kSecond, "disconnect"},
         {OnDisconnect::kStopAfter, kMinute * 10, kWent + kMinute * 10, "disconnect"}});
}

TEST_CASE("disconnect: a controller or agent that is away is not a client that left") {
  check(Gone::kUnknown,
        {{OnDisconnect::kKeep, {}, kWent + kHeldWithoutEnd, ""},
         {OnDisconnect::kStop, {}, kWent + kWayBack, "disconnect"},
         {OnDisconnect::kStopAfter, kSecond, kWent + kWayBack, "disconnect"},
         {OnDisconnect::kStopAfter, kMinute * 10, kWent + kMinute * 10, "disconnect"}});
}
