#include "src/controller/core/registry.hpp"

#include "src/select/parse.hpp"
#include "src/select/resolve.hpp"

namespace rexec::controller {

Node& Registry::put(Node node) {
  auto& slot = nodes_[node.id];
  AgentSession* link = slot.link;
  if (!slot.name.empty()) by_name_.erase(slot.name);
  by_name_[node.name] = &slot;
  slot = std::move(node);
  slot.link = link;
  return slot;
}

Node* Registry::find(const NodeId& id) {
  const auto at = nodes_.find(id);
  return at == nodes_.end() ? nullptr : &at->second;
}

Node* Registry::find_by_name(const std::string& name) {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : at->second;
}

void Registry::remove(const NodeId& id) {
  const Node* node = find(id);
  if (node == nullptr) return;
  const auto named = by_name_.find(node->name);
  if (named != by_name_.end() && named->second == node) by_name_.erase(named);
  nodes_.erase(id);
}

std::vector<Node*> Registry::all() {
  std::vector<Node*> out;
  out.reserve(by_name_.size());
  for (const auto& [name, node] : by_name_) out.push_back(node);
  return out;
}

bool Registry::selects(const select::Selector& selector, const Node& node) {
  return select::matches(selector, {node.name, node.labels, {}});
}

Result<std::vector<Node*>> Registry::select(const std::string& target) {
  if (Node* node = find_by_name(target))
    return std::vector<Node*>{node};  // the usual case needs no inventory
  if (target == "@all" && !nodes_.empty()) return all();
  auto selector = select::parse_target(target);
  if (!selector) return std::unexpected(selector.error());
  std::vector<select::InventoryNode> inventory;
  for (const auto& [id, node] : nodes_) inventory.push_back({node.name, node.labels, {}});
  auto names = select::resolve(*selector, inventory);
  if (!names) return std::unexpected(names.error());
  std::vector<Node*> out;
  for (const auto& name : *names) out.push_back(find_by_name(name));
  return out;
}

}  // namespace rexec::controller
