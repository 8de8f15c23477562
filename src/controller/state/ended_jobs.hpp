// What ended jobs take of the controller's disk is kept within limits: counted by the ledger
// (ended_ledger.hpp) as jobs end and go, and the oldest are dropped when it says so. A step at a
// time, each a short operation of the store. What is old enough goes by housekeeping.hpp.
#pragma once

#include "src/base/log_limit.hpp"
#include "src/controller/state/ended_ledger.hpp"

namespace rexec::controller {

class Hub;

class EndedJobs {
 public:
  explicit EndedJobs(Hub& hub) : hub_(hub), ledger_({~std::uint64_t{0}, ~std::uint64_t{0}}) {}
  // When the hub has loaded what there is.
  void start(EndedLimits limits);
  store::Measure measure() { return ledger_.measure(); }
  void database_has(std::uint64_t used);
  // See EndedLedger.
  void ended(const store::EndedJob& job);
  void command_kept(const store::EndedJob& job);
  void freed(const std::vector<store::FreedJob>& freed);

 private:
  void look();
  void sum();
  void drop(const EndedLedger::Drop& drop);
  void failed(const Error& error);
  void count(const EndedLedger::Drop& drop, const store::DroppedEnded& step);
  void say();

  Hub& hub_;
  EndedLedger ledger_;
  bool is_working_ = false;
  // What was dropped of one user and not said yet.
  EndedLedger::Drop told_;
  std::size_t jobs_ = 0;
  std::size_t commands_ = 0;
  LogLimit log_;
};

}  // namespace rexec::controller
