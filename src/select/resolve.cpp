// Two passes: every literal name and group must exist, then each node is matched by itself.
#include "src/select/resolve.hpp"

#include <algorithm>
#include <set>
#include <string_view>

#include "src/base/text.hpp"
#include "src/select/order.hpp"
#include "src/select/parse.hpp"

namespace rexec::select {
namespace {

using Words = std::set<std::string, std::less<>>;

// Literal words of the selector that the inventory does not have.
struct Unknown {
  std::vector<std::string> nodes;
  std::vector<std::string> groups;
};

struct Known {
  Words nodes;
  Words groups;
};

Known known_words(Inventory inventory) {
  Known known;
  for (const InventoryNode& node : inventory) {
    known.nodes.insert(node.name);
    known.groups.insert(node.groups.begin(), node.groups.end());
  }
  return known;
}

void find_unknown(const Selector& selector, const Known& known, Unknown& unknown) {
  const bool is_group = selector.kind == Kind::kGroup;
  if (is_group || selector.kind == Kind::kNames) {
    const Words& there = is_group ? known.groups : known.nodes;
    for (const std::string& name : selector.names) {
      if (!there.contains(name)) (is_group ? unknown.groups : unknown.nodes).push_back(name);
    }
  }
  for (const Selector& child : selector.children) find_unknown(child, known, unknown);
}

// "a", "b", "c" and 7 more.
std::string some_of(std::vector<std::string> names, std::string_view before) {
  constexpr std::size_t kShown = 3;
  std::ranges::sort(names, natural_less);
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) {
    text.append(i > 0 ? ", \"" : "\"").append(before).append(printable(names[i])).append("\"");
  }
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

std::string hint_for(const std::string& word, const Words& known, std::string_view before) {
  const std::vector<std::string> candidates(known.begin(), known.end());
  const std::string found = nearest(word, candidates);
  const std::string see = "see: rexec node ls";
  if (found.empty()) return see;
  return "did you mean: " + std::string(before) + printable(found) + "?\n" + see;
}

std::unexpected<Error> fail_unknown(const Unknown& unknown, const Known& known) {
  if (!unknown.nodes.empty()) {
    const bool one = unknown.nodes.size() == 1;
    return fail(Code::kUnknownNode,
                (one ? "node " : "nodes ") + some_of(unknown.nodes, "") +
                    (one ? " is not known" : " are not known"),
                hint_for(unknown.nodes[0], known.nodes, ""));
  }
  const bool one = unknown.groups.size() == 1;
  return fail(Code::kUnknownNode,
              (one ? "group " : "groups ") + some_of(unknown.groups, "@") +
                  (one ? " has no nodes" : " have no nodes"),
              hint_for(unknown.groups[0], known.groups, "@"));
}

std::string shortened(std::string text) {
  constexpr std::size_t kShown = 80;
  if (text.size() <= kShown) return text;
  return text.substr(0, kShown) + "…";
}

}  // namespace

bool matches(const Selector& selector, const InventoryNode& node) {
  const auto fits = [&](const Selector& child) { return matches(child, node); };
  switch (selector.kind) {
    case Kind::kAll:
      return true;
    case Kind::kNames:
      return std::ranges::binary_search(selector.names, node.name);
    case Kind::kGroup:
      return std::ranges::find(node.groups, selector.names.at(0)) != node.groups.end();
    case Kind::kLabel: {
      const auto found = node.labels.find(selector.names.at(0));
      return found != node.labels.end() && found->second == selector.value;
    }
    case Kind::kOr:
      return std::ranges::any_of(selector.children, fits);
    case Kind::kAnd:
      return std::ranges::all_of(selector.children, fits);
    case Kind::kNot:
      return !fits(selector.children.at(0));
  }
  return false;
}

Result<std::vector<std::string>> resolve(const Selector& selector, Inventory inventory) {
  const Known known = known_words(inventory);
  Unknown unknown;
  find_unknown(selector, known, unknown);
  if (!unknown.nodes.empty() || !unknown.groups.empty()) return fail_unknown(unknown, known);
  std::vector<std::string> names;
  for (const InventoryNode& node : inventory) {
    if (matches(selector, node)) names.push_back(node.name);
  }
  if (names.empty()) {
    const std::string text = shortened(to_text(selector));
    return fail(Code::kUnknownNode, "no node matches \"" + text + "\"",
                inventory.empty() ? "no node has joined yet; see: rexec help join"
                                  : "see: rexec node ls");
  }
  std::ranges::sort(names, natural_less);
  const auto rest = std::ranges::unique(names);
  names.erase(rest.begin(), rest.end());
  return names;
}

}  // namespace rexec::select
