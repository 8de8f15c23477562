#include "src/controller/core/key_set.hpp"

#include <algorithm>
#include <bit>

namespace rexec::controller {
namespace {

constexpr std::size_t kLeast = 64;

// 0 marks a free place, so it shares the key 1; a set that may say "perhaps" can afford it.
std::uint64_t stored(std::uint64_t key) { return key == 0 ? 1 : key; }

// At most three quarters are taken: probes stay short.
std::size_t places_for(std::size_t count) {
  return std::max(kLeast, std::bit_ceil(count + count / 3 + 1));
}

}  // namespace

// Keys are hashes already; the multiplication spreads what FNV leaves alike in the low bits.
std::size_t KeySet::home(std::uint64_t key) const {
  return static_cast<std::size_t>((key * 0x9e3779b97f4a7c15ULL) >> 32) & (places_.size() - 1);
}

std::size_t KeySet::find(std::uint64_t key) const {
  std::size_t at = home(key);
  while (places_[at] != 0 && places_[at] != key) at = (at + 1) & (places_.size() - 1);
  return at;
}

void KeySet::resize(std::size_t places) {
  std::vector<std::uint64_t> old(places);
  old.swap(places_);
  for (const std::uint64_t key : old)
    if (key != 0) places_[find(key)] = key;
}

void KeySet::reserve(std::size_t count) {
  if (places_for(count) > places_.size()) resize(places_for(count));
}

void KeySet::insert(std::uint64_t key) {
  reserve(size_ + 1);
  std::uint64_t& place = places_[find(stored(key))];
  if (place == 0) ++size_;
  place = stored(key);
}

bool KeySet::contains(std::uint64_t key) const {
  return !places_.empty() && places_[find(stored(key))] != 0;
}

// What was pushed on by the erased one moves back, so that no search stops too early.
void KeySet::erase(std::uint64_t key) {
  if (!contains(key)) return;
  const std::size_t mask = places_.size() - 1;
  std::size_t hole = find(stored(key));
  for (std::size_t at = (hole + 1) & mask; places_[at] != 0; at = (at + 1) & mask) {
    const std::size_t from_home = (at - home(places_[at])) & mask;
    if (from_home < ((at - hole) & mask)) continue;
    places_[hole] = places_[at];
    hole = at;
  }
  places_[hole] = 0;
  --size_;
}

}  // namespace rexec::controller
