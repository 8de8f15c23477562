// A selector against the nodes there are. Pure: the caller (controller, client, policy) brings the
// inventory. What the caller may see or do there is policy's business, not this folder's.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "src/base/error.hpp"
#include "src/select/selector.hpp"

namespace rexec::select {

struct InventoryNode {
  std::string name;  // unique in an inventory
  std::map<std::string, std::string> labels;
  std::vector<std::string> groups;
};
using Inventory = std::span<const InventoryNode>;

// The names selected, unique, in natural order. kUnknownNode with a suggestion for a literal name
// or group that does not exist, also inside `!`, and when nothing at all is selected: zero nodes is
// never success.
Result<std::vector<std::string>> resolve(const Selector& selector, Inventory inventory);

// Whether one node is selected; a name that does not exist simply does not match. For roles.
bool matches(const Selector& selector, const InventoryNode& node);

}  // namespace rexec::select
