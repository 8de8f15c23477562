// The client's half of doctor: each step that `run` takes before it reaches a node, one check each.
#include <cstdlib>

#include "cli/doctor/doctor.hpp"
#include "cli/line/sign_in.hpp"
#include "src/base/text.hpp"
#include "src/client/connect.hpp"
#include "src/pki/certificate.hpp"
#include "src/pki/key.hpp"

namespace rexec::cli {
namespace {

// Certificates are backdated by 5 minutes: beyond that a fresh one is not yet valid elsewhere.
constexpr std::int64_t kSkewNoticed = 2'000;
constexpr std::int64_t kSkewTooMuch = 240'000;

Check bad(std::string name, const Error& error) {
  return {std::move(name), Health::kBad, error.message, error.hint};
}

Check check_key(const net::Credentials& credentials) {
  Check check{"key", Health::kGood, "only you can read it", {}};
  const auto key = pki::Key::parse(credentials.key);
  const auto certificate = pki::parse_certificate(credentials.certificate);
  const bool fits =
      key && certificate && pki::spki_hash(key->get()) == pki::spki_hash(certificate->get());
  if (fits || (key && !certificate)) return check;
  check.health = Health::kBad;
  check.finding = key ? "it is not the key of the certificate" : key.error().message;
  check.mend = "sign in again: rexec login rx1_…";
  return check;
}

Check check_certificate(const net::Credentials& credentials) {
  Check check{"certificate", Health::kGood, {}, {}};
  const auto certificate = pki::parse_certificate(credentials.certificate);
  if (!certificate) return bad(check.name, certificate.error());
  const auto identity = pki::parse_identity(certificate->get());
  if (!identity) return bad(check.name, identity.error());
  check.finding =
      identity->id + " of " + identity->cluster + ", until " + to_iso8601(identity->not_after);
  if (wall_now() > identity->not_after + pki::kRenewalGrace) {
    check.health = Health::kBad;
    check.mend = "sign in again: rexec login rx1_…";
  } else if (wall_now() < identity->not_before) {
    check.health = Health::kBad;
    check.mend = "it is not valid yet: is this machine's clock right? date -u";
  }
  return check;
}

struct Greeting {
  Result<wire::Map> hello = fail(Code::kInternal, "no answer");
  std::int64_t skew_ms = 0;
  Millis took{};
};

Greeting greet(client::Connector& connector) {
  Greeting greeting;
  asio::io_context context(1);
  client::Remote remote(context.get_executor());
  const auto work = [&]() -> net::Task<> {
    const BootTime begun = BootClock::now();
    auto transport = co_await connector.dial();
    if (transport) {
      remote.start(std::move(*transport), connector.hello());
      const WallTime asked = wall_now();
      greeting.hello = co_await remote.greeted();
      const std::int64_t midway =
          (asked.time_since_epoch().count() + wall_now().time_since_epoch().count()) / 2;
      if (greeting.hello)
        greeting.skew_ms = wire::i64_or(*greeting.hello, "wall_ms", midway) - midway;
    } else {
      greeting.hello = std::unexpected(transport.error());
    }
    greeting.took = std::chrono::duration_cast<Millis>(BootClock::now() - begun);
    context.stop();
  };
  net::spawn(context.get_executor(), work());
  context.run();
  return greeting;
}

Check check_skew(std::int64_t skew_ms) {
  const std::int64_t apart = std::abs(skew_ms);
  Check check{"clock", Health::kGood, {}, {}};
  check.finding = apart < kSkewNoticed ? "agrees with the controller's"
                                       : format_duration(Millis{apart}) +
                                             (skew_ms > 0 ? " behind the controller's"
                                                          : " ahead of the controller's");
  if (apart < kSkewNoticed) return check;
  check.health = apart < kSkewTooMuch ? Health::kDegraded : Health::kBad;
  check.mend = "set the clock: timedatectl set-ntp true";
  return check;
}

void check_way(const Globals& globals, std::vector<Check>& checks) {
  Result<client::Connector> connector =
      client::Connector::load({globals.config, globals.context, Millis{5'000}});
  if (!connector) return checks.push_back(bad("controller", connector.error()));
  const Greeting greeting = greet(*connector);
  if (!greeting.hello) return checks.push_back(bad("controller", greeting.hello.error()));
  checks.push_back({"controller",
                    Health::kGood,
                    wire::text_or(*greeting.hello, "cluster") + " answers as " +
                        wire::text_or(*greeting.hello, "software") + " in " +
                        format_duration(greeting.took),
                    {}});
  checks.push_back(check_skew(greeting.skew_ms));
}

}  // namespace

std::vector<Check> check_client(const Globals& globals) {
  std::vector<Check> checks;
  const Result<client::ContextFile> file = load_contexts(globals);
  if (!file) return {bad("configuration", file.error())};
  if (file->all().empty()) {
    return {{"context", Health::kSkipped, "not signed in to any controller",
             "a person signs in: rexec login rx1_…"}};
  }
  const Result<client::ContextEntry> context = file->choose(globals.context);
  if (!context) return {bad("context", context.error())};
  std::string addresses;
  for (const std::string& address : context->addresses) addresses += " " + address;
  checks.push_back({"context", Health::kGood, context->name + " at" + addresses, {}});
  const Result<net::Credentials> credentials =
      client::load_credentials(file->directory(context->name));
  if (!credentials) {
    checks.push_back(bad("key", credentials.error()));
    return checks;
  }
  checks.push_back(check_key(*credentials));
  checks.push_back(check_certificate(*credentials));
  check_way(globals, checks);
  return checks;
}

}  // namespace rexec::cli
