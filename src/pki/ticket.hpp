// Tickets: the controller's signed word that it accepted one attempt of a job. The node keeps it,
// so a controller that lost its last writes can adopt the job with its true owner (DESIGN §6). A
// ticket carries its claims; it is no secret and no bearer right: an attach still needs the owner's
// certificate. Pure but for the key file.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "src/base/clock.hpp"
#include "src/base/error.hpp"
#include "src/base/ids.hpp"

namespace rexec::pki {

struct TicketClaims {
  AttemptKey attempt;
  UserId owner;
  NodeId node;
  std::string request;  // the submit's request id, at most 64 bytes
  RunId run;            // empty for a job that stands alone
  WallTime accepted;
};

inline constexpr std::size_t kMaxTicket = 512;

class TicketKey {
 public:
  static TicketKey random();
  // Reads the 0600 file of 32 bytes, or makes it when there is none.
  static Result<TicketKey> load_or_make(const std::string& path);

  // Text, safe in JSON and MessagePack. The ids are ours (checked).
  std::string seal(const TicketClaims& claims) const;
  // kDenied: malformed, or not sealed by this key (constant time).
  Result<TicketClaims> open(std::string_view ticket) const;
  ~TicketKey();
  TicketKey(const TicketKey&) = default;
  TicketKey& operator=(const TicketKey&) = default;

 private:
  TicketKey() = default;
  std::array<std::uint8_t, 32> bytes_{};
};

}  // namespace rexec::pki
