#include "src/controller/core/terms.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "src/base/text.hpp"

namespace rexec::controller {
namespace {

constexpr std::uint64_t kLongest = 3650ULL * 86'400'000;

Result<Lock> read_lock(const wire::Map& map) {
  auto name = wire::get_text(map, "name");
  if (!name) return std::unexpected(name.error());
  if (auto good = check_name("lock", *name); !good) return std::unexpected(good.error());
  auto slots = wire::get_u64(map, "slots", kMostSlots);
  if (!slots) return std::unexpected(slots.error());
  if (*slots == 0)
    return fail(Code::kUsage, "lock \"" + *name + "\" has 0 slots: nothing could ever run");
  const auto scope = wire::bool_or(map, "fleet", false) ? LockScope::kFleet : LockScope::kNode;
  return Lock{*name, static_cast<std::uint32_t>(*slots), scope};
}

Result<Dependency> read_dependency(const wire::Map& map) {
  auto job = wire::get_text(map, "job");
  if (!job) return std::unexpected(job.error());
  if (job->size() > 64) return fail(Code::kProtocol, "a job id of more than 64 characters");
  const std::string when = wire::text_or(map, "when", "ok");
  const auto group = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(wire::u64_or(map, "group", 0), UINT32_MAX));
  for (const After one : {After::kOk, After::kAny, After::kFail})
    if (when == after_name(one)) return Dependency{{*job}, one, group};
  return fail(Code::kUsage, "\"" + printable(when) + "\" is not one of ok, any, fail");
}

auto order_of(const Lock& lock) { return std::tuple(lock.name, lock.slots, lock.scope); }
auto order_of(const Dependency& one) { return std::tuple(one.job, one.when, one.group); }

template <class T, class Read>
Result<void> read_list(const wire::Map& map, const char* key, std::size_t most, Read read,
                       std::vector<T>& into) {
  const wire::Map& list = wire::child_or_empty(map, key);
  if (list.size() > most)
    return fail(Code::kLimit, "more than " + std::to_string(most) + " of \"" + key + "\"");
  std::set<decltype(order_of(std::declval<T>()))> known;
  for (const wire::Map& entry : list) {
    auto one = entry.is_object() ? read(entry) : fail(Code::kProtocol, "not an object");
    if (!one) return std::unexpected(one.error());
    // Twice the same is once: a job cannot wait for itself to let go of a slot.
    if (known.insert(order_of(*one)).second) into.push_back(std::move(*one));
  }
  return {};
}

}  // namespace

std::string_view after_name(After when) {
  switch (when) {
    case After::kOk:
      return "ok";
    case After::kAny:
      return "any";
    case After::kFail:
      break;
  }
  return "fail";
}

Result<Terms> read_terms(const wire::Map& map, std::size_t most_after) {
  Terms terms;
  for (const auto& [key, into] :
       {std::pair{"queue_ms", &terms.queue}, std::pair{"online_ms", &terms.online}}) {
    if (!map.contains(key)) continue;
    auto value = wire::get_u64(map, key, kLongest);
    if (!value) return std::unexpected(value.error());
    *into = Millis{static_cast<std::int64_t>(*value)};
  }
  terms.patient = wire::bool_or(map, "patient", false);
  auto step = read_list(map, "locks", kMostLocks, read_lock, terms.locks);
  if (step) step = read_list(map, "after", most_after, read_dependency, terms.after);
  if (!step) return std::unexpected(step.error());
  std::set<JobId> failing;
  for (const Dependency& one : terms.after)
    if (one.when == After::kFail) failing.insert(one.job);
  for (const Dependency& one : terms.after)
    if (one.when == After::kOk && failing.contains(one.job))
      return fail(Code::kUsage, "after \"" + printable(one.job.text) +
                                    "\" with :ok and with :fail can never come true");
  for (const Lock& one : terms.locks) {
    const auto same = [&](const Lock& other) {
      return one.name == other.name && one.scope == other.scope && one.slots != other.slots;
    };
    if (std::ranges::any_of(terms.locks, same))
      return fail(Code::kUsage, "lock \"" + one.name + "\" is named with two numbers of slots");
  }
  return terms;
}

wire::Map to_map(const Terms& terms) {
  wire::Map map = wire::Map::object();
  for (const auto& [key, value] : {std::pair{"queue_ms", terms.queue}, {"online_ms", terms.online}})
    if (value > Millis{0}) map[key] = static_cast<std::uint64_t>(value.count());
  if (terms.patient) map["patient"] = true;
  for (const Lock& lock : terms.locks)
    map["locks"].push_back(
        {{"name", lock.name}, {"slots", lock.slots}, {"fleet", lock.scope == LockScope::kFleet}});
  for (const Dependency& one : terms.after) {
    wire::Map entry{{"job", one.job.text}, {"when", after_name(one.when)}};
    if (one.group != 0) entry["group"] = one.group;
    map["after"].push_back(std::move(entry));
  }
  return map;
}

}  // namespace rexec::controller
