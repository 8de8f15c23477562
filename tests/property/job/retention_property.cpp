// What holds of the choice of what goes, whatever is kept.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "src/job/spool/retention.hpp"

namespace rexec::job {
namespace {

const WallTime kNow(std::chrono::hours(24 * 20000));
const RetentionLimits kLimits{1 << 20, 900 << 10, std::chrono::hours(7 * 24),
                              std::chrono::minutes(1)};

std::uint64_t bytes(const Kept& kept) { return kept.output + kept.beside + kept.rest; }

// Up to thirty; each class of output is common, the week and the minute are near.
std::vector<Kept> any_kept() {
  std::vector<Kept> all;
  const int count = *rc::gen::inRange(0, 30);
  for (int i = 0; i < count; ++i) {
    Kept one{.key = {JobId{"j-" + std::to_string(i)}, 1}};
    one.output = *rc::gen::oneOf(rc::gen::just<std::uint64_t>(0),
                                 rc::gen::inRange<std::uint64_t>(1, kSmallOutput + 1),
                                 rc::gen::inRange<std::uint64_t>(kSmallOutput, 300 << 10));
    one.beside = *rc::gen::element<std::uint64_t>(0, 8192, 100'000);
    one.rest = *rc::gen::element<std::uint64_t>(0, 12'288);
    one.reported = kNow - std::chrono::minutes(*rc::gen::inRange(0, 8 * 24 * 60));
    one.is_foreground = *rc::gen::arbitrary<bool>();
    if (one.is_foreground && *rc::gen::arbitrary<bool>())
      one.read = kNow - std::chrono::seconds(*rc::gen::inRange(0, 120));
    all.push_back(one);
  }
  return all;
}

std::map<AttemptKey, Going> chosen(const std::vector<Kept>& kept) {
  std::map<AttemptKey, Going> out;
  for (const Going& going : choose_going(kept, kLimits, kNow))
    RC_ASSERT(out.emplace(going.key, going).second);
  return out;
}

std::uint64_t left(const Kept& kept, const std::map<AttemptKey, Going>& going) {
  const auto at = going.find(kept.key);
  if (at == going.end()) return bytes(kept);
  return at->second.part == Part::kAll ? 0 : kept.rest;
}

bool is_old(const Kept& kept) { return kNow - kept.reported > kLimits.age; }

}  // namespace

TEST_CASE("property: what is left is within the limit, and nothing goes without a reason") {
  CHECK(rc::check([] {
    const auto kept = any_kept();
    const auto going = chosen(kept);
    std::uint64_t before = 0, after = 0;
    for (const Kept& one : kept) {
      if (!is_old(one)) before += bytes(one);
      after += left(one, going);
      const auto at = going.find(one.key);
      if (is_old(one)) RC_ASSERT(at != going.end() && at->second.part == Part::kAll);
      if (at != going.end() && at->second.why == GivenUp::kRead)
        RC_ASSERT(one.read && one.output > kSmallOutput && kNow - *one.read >= kLimits.read);
    }
    RC_ASSERT(after <= kLimits.bytes);
    if (before > kLimits.bytes) return;
    for (const auto& [key, one] : going) RC_ASSERT(one.why != GivenUp::kRoom);
  }));
}

TEST_CASE("property: what was read costs nothing else its place, but for the notes of it") {
  CHECK(rc::check([] {
    const auto kept = any_kept();
    auto noted = kept;
    for (Kept& one : noted)
      if (one.read) one.output = one.beside = 0;
    const auto with = chosen(kept);
    const auto without = chosen(noted);
    for (const Kept& one : kept)
      if (!one.read) RC_ASSERT(left(one, with) == left(one, without));
  }));
}

TEST_CASE("property: notes cost no output its place that is within the limit beside their share") {
  CHECK(rc::check([] {
    const auto kept = any_kept();
    std::uint64_t unread = 0;
    for (const Kept& one : kept)
      if (!one.read && !is_old(one)) unread += bytes(one);
    if (unread > kLimits.bytes - kLimits.notes) return;
    const auto going = chosen(kept);
    for (const Kept& one : kept)
      if (!one.read && one.output > 0 && !is_old(one)) RC_ASSERT(left(one, going) == bytes(one));
  }));
}

TEST_CASE("property: small output of detached jobs goes last, and the oldest of it first") {
  CHECK(rc::check([] {
    const auto kept = any_kept();
    const auto going = chosen(kept);
    const auto is_last = [](const Kept& k) {
      return !k.read && !k.is_foreground && k.output > 0 && k.output <= kSmallOutput && !is_old(k);
    };
    const auto was_cut = [&](const Kept& k) { return left(k, going) < bytes(k); };
    for (const Kept& one : kept) {
      if (!is_last(one) || !was_cut(one)) continue;
      for (const Kept& other : kept) {
        if (!is_last(other)) RC_ASSERT(left(other, going) == 0);
        if (is_last(other) && other.reported < one.reported) RC_ASSERT(was_cut(other));
      }
    }
  }));
}

}  // namespace rexec::job
