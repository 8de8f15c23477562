// From flags to what a job waits for before it starts.
#include <algorithm>

#include "cli/run/run_flags.hpp"
#include "src/base/ids.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

constexpr Millis kOnlineByDefault{300'000};
constexpr std::uint64_t kMostSlots = 1'000'000;

std::unexpected<Error> wrong(const std::string& flag, const std::string& text,
                             const std::string& why, const std::string& hint) {
  return fail(Code::kUsage, flag + ": \"" + printable(text.substr(0, 64)) + "\" " + why, hint);
}

Result<client::LockWish> read_lock(const std::string& flag, const std::string& text) {
  const auto colon = text.find(':');
  client::LockWish lock;
  lock.name = text.substr(0, colon);
  lock.fleet = flag == "--fleet-lock";
  if (auto good = check_name("lock", lock.name); !good)
    return wrong(flag, text, "does not begin with a name", good.error().message);
  if (colon == std::string::npos) return lock;
  const std::string slots = text.substr(colon + 1);
  const bool digits = !slots.empty() && slots.size() <= 7 &&
                      std::ranges::all_of(slots, [](char c) { return c >= '0' && c <= '9'; });
  const std::uint64_t number = digits ? std::stoul(slots) : 0;
  if (number == 0 || number > kMostSlots)
    return wrong(flag, text, "does not end in a number of slots from 1",
                 "write NAME for one at a time, NAME:N for N");
  lock.slots = static_cast<std::uint32_t>(number);
  return lock;
}

Result<client::AfterWish> read_after(const std::string& text) {
  const auto colon = text.find(':');
  client::AfterWish after;
  after.job = text.substr(0, colon);
  if (after.job.empty()) return wrong("--after", text, "names no job", "see: rexec ps");
  if (colon == std::string::npos) return after;
  after.when = text.substr(colon + 1);
  for (const std::string_view known : {"ok", "any", "fail"})
    if (after.when == known) return after;
  return wrong("--after", text, "does not end in :ok, :any or :fail",
               "ok: it exited with 0; fail: it ended otherwise; any: both");
}

}  // namespace

Result<client::Waits> read_waits(const Args& args) {
  client::Waits waits;
  const Result<Millis> queue = args.duration("queue-timeout", Millis{0});
  if (!queue) return std::unexpected(queue.error());
  if (args.has("queue-timeout") && *queue == Millis{0})
    return fail(Code::kUsage, "--queue-timeout: with 0 nothing could ever start",
                "leave it out to wait without end");
  waits.queue = *queue;
  if (args.has("wait-online")) {
    const bool has_value = !args.value("wait-online").empty();
    const Result<Millis> online =
        has_value ? args.duration("wait-online", kOnlineByDefault) : kOnlineByDefault;
    if (!online) return std::unexpected(online.error());
    waits.online = *online;
  }
  for (const char* name : {"lock", "fleet-lock"}) {
    for (const std::string& text : args.values(name)) {
      auto lock = read_lock(std::string("--") + name, text);
      if (!lock) return std::unexpected(lock.error());
      waits.locks.push_back(std::move(*lock));
    }
  }
  for (const std::string& text : args.values("after")) {
    auto after = read_after(text);
    if (!after) return std::unexpected(after.error());
    waits.after.push_back(std::move(*after));
  }
  return waits;
}

}  // namespace rexec::cli
