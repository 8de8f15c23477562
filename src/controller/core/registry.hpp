// Which nodes there are and which are connected: the controller's memory of them, pure. The store
// keeps the same rows; the sessions (agent_session) set and clear `link`. Nothing here dials, sends
// or writes.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/select/order.hpp"
#include "src/select/selector.hpp"

namespace rexec::controller {

class AgentSession;

struct Node {
  NodeId id;
  std::string name;
  std::map<std::string, std::string> labels;
  WallTime enrolled{};
  WallTime last_seen{};
  std::string software;          // what the agent said in HELLO
  std::string address;           // where it last dialled from
  std::string run_as;            // the user its jobs run as by default
  AgentSession* link = nullptr;  // set while it is connected and reconciled
  BootTime lost_at{};            // when its last link of this run of the controller went
};

class Registry {
 public:
  // Replaces the node of that id, keeping its link.
  Node& put(Node node);
  Node* find(const NodeId& id);
  Node* find_by_name(const std::string& name);
  void remove(const NodeId& id);
  // In natural order of names.
  std::vector<Node*> all();
  // The nodes that a target selects; kUnknownNode with a suggestion, or with "no node matches".
  Result<std::vector<Node*>> select(const std::string& target);
  // Whether a target that was parsed before selects this node now; names that are gone select none.
  static bool selects(const select::Selector& selector, const Node& node);

 private:
  std::unordered_map<NodeId, Node> nodes_;
  struct NaturalLess {
    bool operator()(const std::string& a, const std::string& b) const {
      return select::natural_less(a, b);
    }
  };
  std::map<std::string, Node*, NaturalLess> by_name_;  // what nodes_ holds stays in its place
};

}  // namespace rexec::controller
