// A database that was put back from an older copy, or rewritten, and how it is noticed: a node
// comes with what it saw of this controller, and that is not in the database's history. Part of the
// hub.
#include "src/base/log.hpp"
#include "src/controller/hub.hpp"
#include "src/store/history.hpp"

namespace rexec::controller {
namespace {

store::Seen read_seen(const wire::Map& reconcile) {
  const wire::Map& map = wire::child_or_empty(reconcile, "seen");
  const wire::Map& audit = wire::child_or_empty(map, "audit");
  store::Seen seen;
  seen.run = wire::text_or(map, "run").substr(0, 64);
  seen.commits = wire::u64_or(map, "commits", 0);
  seen.audit.seq = static_cast<std::int64_t>(wire::u64_or(audit, "seq", 0) & INT64_MAX);
  seen.audit.hash = wire::text_or(audit, "hash");
  return seen;
}

}  // namespace

void Hub::compare_history(const wire::Map& reconcile,
                          std::function<void(Result<std::string>)> answered) {
  ask<std::string>(
      [seen = read_seen(reconcile)](store::Database& db) -> Result<std::string> {
        return store::contradiction(db, seen);
      },
      std::move(answered));
}

void Hub::note_old_history(const NodeId& id, const std::string& why) {
  const Node* node = registry_.find(id);
  const std::string name = node == nullptr ? id.text : node->name;
  log_error(
      "OLD_DATABASE: it is older than what a node saw of it, or was rewritten",
      {{"node", name}, {"why", why}, {"next", "was a backup restored? the node reports again"}});
  old_history_ = {{"node", name}, {"why", why}, {"at", to_iso8601(wall_now())}};
  post(
      [id, name, why](store::Database& db) {
        store::append_audit(db, wall_now(),
                            {"node/" + id.text + " " + name, "history.old", "controller", why});
      },
      {});
}

}  // namespace rexec::controller
