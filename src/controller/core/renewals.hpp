// How often a certificate may be renewed: each renewal is a signature on the controller's thread
// and a row that is kept for as long as the certificate would be good. One count for each holder,
// and none for one that renewed nothing lately. Pure.
#pragma once

#include <string>
#include <unordered_map>

#include "src/base/error.hpp"
#include "src/controller/core/bucket.hpp"
#include "src/pki/identity.hpp"

namespace rexec::controller {

// After those that he may have at once, a holder has one in each kRenewalReturns.
inline constexpr Nanos kRenewalReturns = std::chrono::minutes(1);
// A credential that is copied to a thousand machines is due on all of them in the same hour.
inline constexpr int kUserRenewals = 1'000;
// A node renews every few weeks, and tries again each minute what went wrong.
inline constexpr int kNodeRenewals = 16;

class Renewals {
 public:
  // One more, now. kLimit, with when the next may be.
  Result<void> take(const pki::Identity& holder, BootTime now);
  // Of how many holders there is something to know.
  std::size_t size() const { return buckets_.size(); }

 private:
  std::unordered_map<std::string, Bucket> buckets_;
  std::size_t forget_at_ = 64;
};

}  // namespace rexec::controller
