#include "cli/run/restart_words.hpp"

#include "src/base/clock.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

std::string how_it_ended(const wire::Map& record) {
  const std::string outcome = wire::text_or(record, "outcome", "ended");
  const std::string reason = printable(wire::text_or(record, "reason"));
  if (outcome == "exited") return "exited " + std::to_string(wire::u64_or(record, "code", 0));
  if (wire::bool_or(record, "oom", false)) return "out of memory";
  if (outcome == "signaled")
    return "ended by signal " + std::to_string(wire::u64_or(record, "signal", 0));
  if (outcome == "timeout") return reason == "idle" ? "idle for too long" : "timed out";
  return printable(outcome) + (reason.empty() ? "" : " (" + reason + ")");
}

std::string when(std::uint64_t at_ms) {
  const auto now = static_cast<std::uint64_t>(wall_now().time_since_epoch().count());
  if (at_ms <= now) return "starts";
  return "starts in " + std::to_string((at_ms - now + 999) / 1000) + " s";
}

}  // namespace

std::string restart_words(const wire::Map& record, std::uint32_t attempt, std::uint64_t at_ms) {
  return "attempt " + std::to_string(attempt) + " " + when(at_ms) + ": " + how_it_ended(record);
}

}  // namespace rexec::cli
