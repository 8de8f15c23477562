// See nodes.hpp.
#include "src/store/tables/nodes.hpp"

#include "src/store/database/sql.hpp"
#include "src/store/tables/certificates.hpp"

namespace rexec::store {
namespace {

// The columns, once: in the order of the table, for writing and for the checksum.
template <class Use>
auto with_values(const NodeRow& row, Use use) {
  return use(row.id.text, row.name, row.labels, row.serial, row.enrolled, row.run_as, row.removed);
}

NodeRow read(Database& db, Run& from) {
  NodeRow row{NodeId{from.text(0)}, from.text(1), from.text(2),      from.text(3),
              from.time(4),         from.text(5), from.maybe_time(6)};
  const auto sum = with_values(row, [](const auto&... values) { return row_sum(values...); });
  if (sum != from.integer(7)) reject_damaged_row(db, "nodes", row.id.text);
  return row;
}

auto reader(Database& db) {
  return [&db](Run& from) { return read(db, from); };
}

void put(Database& db, const NodeRow& row) {
  with_values(row, [&](const auto&... values) {
    // Not OR REPLACE: that would silently drop another row with the name.
    run(db, "DELETE FROM nodes WHERE id = ?", row.id.text);
    run(db, "INSERT INTO nodes VALUES (?,?,?,?,?,?,?,?)", values..., row_sum(values...));
  });
}

void check_name_free(Database& db, const NodeRow& row) {
  const auto other = find_live_node(db, row.name);
  if (!other || other->id == row.id || row.removed) return;
  reject(Code::kConflict, "there is a node named \"" + row.name + "\" already",
         "choose another name, or remove that node: rexec node rm " + row.name);
}

}  // namespace

std::vector<NodeRow> load_nodes(Database& db) {
  return query(db, reader(db), "SELECT * FROM nodes ORDER BY name, enrolled");
}

std::optional<NodeRow> find_node(Database& db, const NodeId& id) {
  return query_one(db, reader(db), "SELECT * FROM nodes WHERE id = ?", id.text);
}

std::optional<NodeRow> find_live_node(Database& db, const std::string& name) {
  return query_one(db, reader(db), "SELECT * FROM nodes WHERE name = ? AND removed IS NULL", name);
}

void insert_node(Database& db, const NodeRow& node) {
  check_name_free(db, node);
  if (find_node(db, node.id)) reject(Code::kConflict, "there is a node " + node.id.text);
  put(db, node);
}

void update_node(Database& db, const NodeRow& node) {
  if (!find_node(db, node.id)) reject(Code::kUnknownNode, "no node " + node.id.text);
  check_name_free(db, node);
  put(db, node);
}

void remove_node(Database& db, const NodeId& id, WallTime now) {
  auto node = find_node(db, id);
  if (!node || node->removed) reject(Code::kUnknownNode, "no node " + id.text);
  node->removed = now;
  put(db, *node);
  revoke_certificates_of(db, pki::Role::kNode, id.text, now);
}

}  // namespace rexec::store
