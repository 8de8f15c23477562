#include "src/controller/core/lock_line.hpp"

#include <algorithm>

#include "src/base/check.hpp"

namespace rexec::controller {
namespace {

// Some hundred blocks of a few hundred places each, for the longest line that there may be.
constexpr std::size_t kMostInBlock = 512;

}  // namespace

void LockLine::hold(const JobId& job, std::uint32_t slots) {
  if (holders_.emplace(job, slots).second) ++told_[slots];
}

void LockLine::release(const JobId& job) {
  const auto at = holders_.find(job);
  if (at == holders_.end()) return;
  const auto told = told_.find(at->second);
  if (--told->second == 0) told_.erase(told);
  holders_.erase(at);
}

void LockLine::Block::count() {
  least = UINT32_MAX;
  for (const auto& [number, slots] : places) least = std::min(least, slots);
}

// The last one that begins at or before that number; the first when none does.
std::size_t LockLine::block_of(std::uint64_t number) const {
  const auto after = std::ranges::upper_bound(
      blocks_, number, {}, [](const Block& block) { return block.places.front().first; });
  return after == blocks_.begin() ? 0 : static_cast<std::size_t>(after - blocks_.begin()) - 1;
}

void LockLine::enter(std::uint64_t number, std::uint32_t slots) {
  const Place place{number, slots};
  if (blocks_.empty()) return blocks_.push_back({{place}, slots});
  const std::size_t index = block_of(number);
  Block& block = blocks_[index];
  const auto at = std::ranges::lower_bound(block.places, place);
  check(at == block.places.end() || at->first != number, "a job stands in a line once");
  block.places.insert(at, place);
  block.least = std::min(block.least, slots);
  if (block.places.size() <= kMostInBlock) return;
  // The usual newcomer is the last of all: what stands before him stays as full as it is.
  const bool is_last = block.places.back().first == number && index + 1 == blocks_.size();
  const std::size_t kept = is_last ? kMostInBlock : kMostInBlock / 2;
  Block rest;
  rest.places.assign(block.places.begin() + static_cast<std::ptrdiff_t>(kept), block.places.end());
  block.places.resize(kept);
  block.count();
  rest.count();
  blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(index) + 1, std::move(rest));
}

void LockLine::leave(std::uint64_t number) {
  const std::size_t index = block_of(number);
  Block& block = blocks_[index];
  const auto at = std::ranges::lower_bound(block.places, number, {}, &Place::first);
  check(at != block.places.end() && at->first == number, "who leaves a line stood in it");
  const bool was_least = at->second == block.least;
  block.places.erase(at);
  if (block.places.empty())
    blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(index));
  else if (was_least)
    block.count();
}

bool LockLine::is_full_for(std::uint64_t number, std::uint32_t slots) const {
  std::size_t taken = holders_.size();
  std::uint32_t most = std::min(slots, least_held());
  for (const Block& block : blocks_) {
    if (taken >= most) return true;
    if (block.places.front().first >= number) break;
    if (block.places.back().first < number) {
      taken += block.places.size();
      most = std::min(most, block.least);
      continue;
    }
    for (const auto& [other, told] : block.places) {
      if (other >= number) break;
      ++taken;
      most = std::min(most, told);
    }
  }
  return taken >= most;
}

}  // namespace rexec::controller
