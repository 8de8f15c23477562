// What a TARGET means, as a value: the tree that parse_target() makes and resolve() and matches()
// read. It knows no inventory: the same text always gives the same tree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rexec::select {

// Bounds of a target, because it may come from a peer (API, role, mesh).
inline constexpr std::size_t kMaxTargetText = 64 * 1024;
inline constexpr std::size_t kMaxTargetNames = 10'000;  // the largest fleet that DESIGN.md promises
inline constexpr std::size_t kMaxTargetTerms = 1000;   // groups, labels, operators
inline constexpr int kMaxTargetDepth = 32;

enum class Kind : std::uint8_t {
  kAll,    // @all
  kNames,  // node42, node[01-20,30], and lists of those: `names`, sorted, without duplicates
  kGroup,  // @group: `names` holds the one group
  kLabel,  // key=value: `names` holds the key, `value` the value
  kOr,     // two or more `children`
  kAnd,    // two or more `children`
  kNot,    // one child
};

struct Selector {
  Kind kind = Kind::kNames;
  std::vector<std::string> names;
  std::string value;
  std::vector<Selector> children;
  bool operator==(const Selector&) const = default;
};

}  // namespace rexec::select
