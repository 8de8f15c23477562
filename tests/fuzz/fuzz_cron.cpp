// Any bytes as a cron expression: an answer with a column, or sets that have members and a next
// time that matches them.
#include "src/base/check.hpp"
#include "src/schedule/cron.hpp"

using namespace rexec;
using namespace rexec::schedule;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Cron> cron = parse_cron(text);
  if (!cron) {
    const Code code = cron.error().code;
    check(code == Code::kUsage || code == Code::kLimit, "a parse error is usage or limit");
    return 0;
  }
  check(cron->minutes != 0, "some minute");
  check(cron->hours != 0 && cron->hours < 1u << 24, "some hour");
  const LocalTime from{std::chrono::seconds{1'795'260'000}};
  const auto next = next_local(*cron, from);
  check(next.has_value(), "what was accepted happens");
  check(*next >= from, "and not before");
  const auto day = std::chrono::floor<std::chrono::days>(*next);
  check(matches_day(*cron, day), "on a day that matches");
  const auto minute = (*next - day).count() / 60;
  check((cron->hours >> (minute / 60) & 1) != 0, "in an hour that matches");
  check((cron->minutes >> (minute % 60) & 1) != 0, "in a minute that matches");
  return 0;
}
