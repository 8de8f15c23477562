// A database that was put back from an older copy, or rewritten, and how it is noticed: a node
// comes with what it saw of this controller, and that is not in the database's history. Part of the
// hub.
#include "src/base/cut_text.hpp"
#include "src/base/log.hpp"
#include "src/controller/state/hub.hpp"
#include "src/store/audit/history.hpp"

namespace rexec::controller {
namespace {

// A node that comes again and again, and says the same, does not fill the logs.
constexpr Millis kNoteAgain = std::chrono::minutes(1);

store::Seen read_seen(const wire::Map& reconcile) {
  const wire::Map& map = wire::child_or_empty(reconcile, "seen");
  const wire::Map& audit = wire::child_or_empty(map, "audit");
  store::Seen seen;
  seen.run = cut_text(wire::text_or(map, "run"), 64);
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

void Hub::note_old_history(const NodeId& id, const wire::Map& reconcile, const std::string& why) {
  const Node* node = registry_.find(id);
  const std::string name = node == nullptr ? id.text : node->name;
  OldHistory& one = old_histories_[id];
  const BootTime now = BootClock::now();
  const bool is_news = one.count == 0 || now - one.noted >= kNoteAgain;
  one.told = {{"node", name}, {"why", why}, {"at", to_iso8601(wall_now())}, {"count", ++one.count}};
  one.run = read_seen(reconcile).run;
  newest_old_history_ = id;
  if (!is_news) return;
  one.noted = now;
  log_error("OLD_DATABASE: it is older than what a node saw of it, or was rewritten",
            {{"node", name},
             {"why", why},
             {"next", "was a backup restored? see: rexec controller check"}});
  post(
      [id, name, why](store::Database& db) {
        store::append_audit(db, wall_now(),
                            {"node/" + id.text + " " + name, "history.old", "controller", why});
      },
      {});
}

wire::Map Hub::old_history() const {
  const auto newest = old_histories_.find(newest_old_history_);
  return newest == old_histories_.end() ? wire::Map(nullptr) : newest->second.told;
}

wire::Map Hub::list_old_histories(std::size_t most) const {
  wire::Map list = wire::Map::array();
  for (const auto& [id, one] : old_histories_) {
    if (list.size() == most) break;
    list.push_back(one.told);
  }
  return list;
}

void Hub::accept_old_histories(const std::string& actor,
                               std::move_only_function<void(Result<std::size_t>)> done) {
  std::vector<std::pair<std::string, std::string>> accepted;  // run, node
  for (const auto& [id, one] : old_histories_)
    accepted.emplace_back(one.run, wire::text_or(one.told, "node"));
  post(
      [accepted, actor](store::Database& db) {
        for (const auto& [run, node] : accepted) {
          store::accept_run(db, run, wall_now());
          store::append_audit(db, wall_now(),
                              {actor, "history.accept", "controller",
                               "what node " + node + " saw of the run " + run});
        }
      },
      [this, count = accepted.size(), done = std::move(done)](Result<void> saved) mutable {
        if (!saved) return done(std::unexpected(saved.error()));
        old_histories_.clear();
        done(count);
      });
}

}  // namespace rexec::controller
