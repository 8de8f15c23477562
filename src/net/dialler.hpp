// Reaches a controller: tries its addresses in order, each for at most 2 s while others are left,
// resolves names anew at each round, and finishes the TLS handshake. It does not reconnect: who
// owns the session does (Backoff).
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "src/net/task.hpp"
#include "src/net/tls.hpp"

namespace rexec::net {

// What follows when no address could be reached: the error at once; further rounds when the
// controller hung up in the middle of a handshake, as one does that is killed or starts again; or
// further rounds whatever the reason, because it was there a moment ago.
enum class Patience { kOneRound, kAfterCut, kUntilTimeout };

struct DialOptions {
  std::vector<std::string> addresses;  // HOST:PORT, tried in order
  Millis timeout{10'000};              // for the whole dial
  std::string ticket;                  // TLS session to resume, may be empty
  Patience patience = Patience::kOneRound;
};

// kControllerDown with every address and its reason; kPinMismatch and kKeyExposed style errors when
// the handshake refuses.
Task<Result<std::unique_ptr<TlsTransport>>> dial(TlsContext& tls, DialOptions options);

// Full jitter from 100 ms, doubled, capped at 30 s.
class Backoff {
 public:
  explicit Backoff(std::uint64_t seed) : random_(seed) {}
  Millis next() {
    const auto ceiling = std::min<std::int64_t>(30'000, 100LL << std::min(step_++, 9));
    return Millis{std::uniform_int_distribution<std::int64_t>(ceiling / 4, ceiling)(random_)};
  }
  void reset() { step_ = 0; }

 private:
  std::mt19937_64 random_;
  int step_ = 0;
};

}  // namespace rexec::net
