// What is said when one attempt of a job has ended and another follows: words only, the decision
// was the node's. The follower says them.
#pragma once

#include <cstdint>
#include <string>

#include "src/wire/maps.hpp"

namespace rexec::cli {

// "attempt 2 starts in 2 s: exited 1"; `at_ms` is wall clock, past when it has begun.
std::string restart_words(const wire::Map& record, std::uint32_t attempt, std::uint64_t at_ms);

}  // namespace rexec::cli
