// One check of `rexec doctor`: what was looked at, how it is, and what mends it.
#pragma once

#include <string>
#include <vector>

#include "cli/line/verbs.hpp"

namespace rexec::cli {

enum class Health { kGood, kDegraded, kBad, kSkipped };
struct Check {
  std::string name;
  Health health = Health::kGood;
  std::string finding;
  std::string mend;
};

// The client's side: context, keys, the way to the controller, the clocks (doctor_client.cpp).
std::vector<Check> check_client(const Globals& globals);
// This machine as a node (doctor_machine.cpp).
std::vector<Check> check_machine();

}  // namespace rexec::cli
