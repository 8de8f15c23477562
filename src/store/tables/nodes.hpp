// The nodes table: who has joined. A removed node keeps its row (jobs and audit refer to it) and
// frees its name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/ids.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

struct NodeRow {
  NodeId id;
  std::string name;    // unique among the nodes that are not removed
  std::string labels;  // JSON object of strings
  std::string serial;  // of its newest certificate
  WallTime enrolled;
  std::string run_as;  // the user named at join; empty: whoever runs the agent
  std::optional<WallTime> removed;
};

std::vector<NodeRow> load_nodes(Database& db);
std::optional<NodeRow> find_node(Database& db, const NodeId& id);
std::optional<NodeRow> find_live_node(Database& db, const std::string& name);
// Rejects with kConflict when a live node has the name.
void insert_node(Database& db, const NodeRow& node);
// Name (rename), labels, serial, run_as. Rejects with kUnknownNode, kConflict.
void update_node(Database& db, const NodeRow& node);
// Marks it removed and revokes every certificate of it. Rejects with kUnknownNode.
void remove_node(Database& db, const NodeId& id, WallTime now);

}  // namespace rexec::store
