#include "src/controller/core/renewals.hpp"

namespace rexec::controller {

Result<void> Renewals::take(const pki::Identity& holder, BootTime now) {
  const int most = holder.role == pki::Role::kNode ? kNodeRenewals : kUserRenewals;
  if (buckets_.size() >= forget_at_) {
    std::erase_if(buckets_, [now](const auto& entry) { return entry.second.is_full(now); });
    forget_at_ = std::max<std::size_t>(64, 2 * buckets_.size());
  }
  Bucket& bucket = buckets_.try_emplace(holder.id, most * kRenewalReturns).first->second;
  const Nanos wait = bucket.wait_for(kRenewalReturns, now);
  if (wait == Nanos::zero()) {
    bucket.take(kRenewalReturns, now);
    return {};
  }
  return fail(Code::kLimit,
              "the certificate was renewed " + std::to_string(most) +
                  " times and more of late; it may be renewed again in " +
                  format_duration(std::chrono::ceil<std::chrono::seconds>(wait)),
              "the one there is stays good: go on with it");
}

}  // namespace rexec::controller
