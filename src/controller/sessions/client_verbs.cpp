// The requests a person's session may make, one function each; those about jobs are job_verbs.cpp.
// Reads answer from memory; changes
// answer after their commit, which carries the audit row.
#include <algorithm>

#include "src/base/version.hpp"
#include "src/controller/sessions/client_session.hpp"
#include "src/controller/state/agent_session.hpp"
#include "src/controller/state/renewal.hpp"
#include "src/controller/verbs/paging.hpp"
#include "src/select/order.hpp"

namespace rexec::controller {
namespace {

wire::Map node_to_map(Hub& hub, const Node& node) {
  const auto time = [](WallTime at) {
    return at == WallTime{} ? wire::Map(nullptr) : wire::Map(to_iso8601(at));
  };
  // Field by field: a list in braces is made twice, and there are thousands of rows.
  wire::Map row = wire::Map::object();
  row["name"] = node.name;
  row["id"] = node.id.text;
  row["state"] = node.link != nullptr ? "online" : "offline";
  wire::Map& labels = row["labels"] = wire::Map::object();
  for (const auto& [key, value] : node.labels) labels[key] = value;
  row["last_seen"] = time(node.link != nullptr ? wall_now() : node.last_seen);
  row["enrolled"] = time(node.enrolled);
  row["software"] = node.software;
  row["address"] = node.address;
  row["run_as"] = node.run_as;
  row["jobs"] = hub.jobs().count_unfinished_on(node.id);
  return row;
}

// Rows that are read for one page of tokens: about as many as it holds.
constexpr std::size_t kTokensAtOnce = 1500;

std::string place_of(const store::TokenRow& row) {
  return to_cursor({row.created.time_since_epoch().count(), row.id});
}

wire::Map token_to_map(const store::TokenRow& row) {
  const char* state = row.revoked                ? "revoked"
                      : !row.spent_by.empty()    ? "used"
                      : row.expires < wall_now() ? "expired"
                                                 : "open";
  wire::Map map = wire::Map::object();
  map["id"] = row.id;
  map["role"] = row.kind == pki::TokenKind::kUser ? "user" : "node";
  map["name"] = row.name;
  map["state"] = state;
  map["created_by"] = row.created_by;
  map["created"] = to_iso8601(row.created);
  map["expires"] = to_iso8601(row.expires);
  map["used_by"] = row.spent_id;
  return map;
}

Page page_of(const std::vector<store::TokenRow>& rows) {
  Page page;
  for (const auto& row : rows)
    if (!page.put(token_to_map(row), place_of(row))) break;
  if (rows.size() == kTokensAtOnce && !page.is_full()) page.stop_at(place_of(rows.back()));
  return page;
}

// As JSON. They are shown with each node that gets them.
Result<std::string> read_labels(const wire::Map& said) {
  constexpr std::size_t kMostLabels = 64;
  constexpr std::size_t kMostValue = 256;
  wire::Map labels = wire::Map::object();
  if (!said.is_object()) return labels.dump();
  if (said.size() > kMostLabels) return fail(Code::kLimit, "a node has at most 64 labels");
  for (const auto& [key, value] : said.items()) {
    if (auto good = check_name("label", key); !good) return std::unexpected(good.error());
    if (!value.is_string() || value.get_ref<const std::string&>().size() > kMostValue)
      return fail(Code::kUsage, "label \"" + key + "\" has no value of at most 256 bytes");
    labels[key] = value;
  }
  return labels.dump();
}

std::unexpected<Error> unknown_node(Hub& hub, const std::string& name) {
  auto selected = hub.registry().select(name);
  if (!selected) return std::unexpected(selected.error());
  return fail(Code::kUnknownNode, "\"" + name + "\" is not the name of one node",
              "see: rexec node ls");
}

}  // namespace

ClientSession::Verb ClientSession::find_verb(const std::string& name) {
  static const std::unordered_map<std::string_view, Verb> verbs{
      {"whoami", &ClientSession::whoami},
      {"status", &ClientSession::status},
      {"renew", &ClientSession::renew_own},
      {"node.ls", &ClientSession::node_ls},
      {"node.show", &ClientSession::node_show},
      {"node.rm", &ClientSession::node_rm},
      {"node.wait", &ClientSession::node_wait},
      {"token.new", &ClientSession::token_new},
      {"token.ls", &ClientSession::token_ls},
      {"token.revoke", &ClientSession::token_revoke},
      {"user.ls", &ClientSession::user_ls},
      {"user.revoke", &ClientSession::user_revoke},
      {"job.ls", &ClientSession::job_ls},
      {"job.show", &ClientSession::job_show},
      {"job.resolve", &ClientSession::job_show},
      {"job.wait", &ClientSession::job_wait},
      {"job.stop", &ClientSession::job_stop},
      {"job.rm", &ClientSession::job_rm},
      {"job.rerun", &ClientSession::job_rerun},
      {"job.client_ended", &ClientSession::job_client_ended}};
  const auto at = verbs.find(name);
  return at == verbs.end() ? nullptr : at->second;
}

bool ClientSession::reads_much(const std::string& verb) {
  return verb == "job.ls" || verb == "token.ls";
}

void ClientSession::whoami(const wire::Map&, const Respond& respond) {
  respond(wire::Map{{"user", name_},
                    {"id", identity_.id},
                    {"role", hub_.is_admin(identity_.id) ? "admin" : "user"},
                    {"cluster", hub_.authority().cluster()},
                    {"expires", to_iso8601(identity_.not_after)}});
}

void ClientSession::status(const wire::Map&, const Respond& respond) {
  std::size_t online = 0;
  const auto nodes = hub_.registry().all();
  for (const Node* node : nodes) online += node->link != nullptr ? 1 : 0;
  const auto uptime =
      std::chrono::duration_cast<std::chrono::seconds>(BootClock::now() - hub_.started_at())
          .count();
  respond(wire::Map{{"cluster", hub_.authority().cluster()},
                    {"version", std::string(build_version().version)},
                    {"epoch", hub_.epoch()},
                    {"uptime_s", uptime},
                    {"sessions", hub_.session_count()},
                    {"nodes", {{"total", nodes.size()}, {"online", online}}},
                    {"jobs", {{"total", hub_.job_count()}, {"running", hub_.jobs().running()}}},
                    {"old_database", hub_.old_history()},
                    {"disk_low", hub_.store().disk_low()}});
}

void ClientSession::renew_own(const wire::Map& args, const Respond& respond) {
  renew(hub_, identity_, args, respond);
}

// ---- nodes

void ClientSession::node_ls(const wire::Map& args, const Respond& respond) {
  const std::string target = wire::text_or(args, "target");
  auto nodes = target.empty() ? Result<std::vector<Node*>>(hub_.registry().all())
                              : hub_.registry().select(target);
  if (!nodes) return respond(std::unexpected(nodes.error()));
  respond(page_behind(
              after_of(args), *nodes, select::natural_less,
              [](const Node* node) -> const std::string& { return node->name; },
              [this](const Node* node) { return node_to_map(hub_, *node); })
              .answer("nodes"));
}

void ClientSession::node_show(const wire::Map& args, const Respond& respond) {
  const std::string name = wire::text_or(args, "name");
  const Node* node = hub_.registry().find_by_name(name);
  if (node == nullptr) return respond(unknown_node(hub_, name));
  respond(node_to_map(hub_, *node));
}

void ClientSession::node_rm(const wire::Map& args, const Respond& respond) {
  const auto allowed = policy_.administer(identity_.id, "removing a node");
  if (!allowed) return respond(std::unexpected(allowed.error()));
  const std::string name = wire::text_or(args, "name");
  const Node* node = hub_.registry().find_by_name(name);
  if (node == nullptr) return respond(unknown_node(hub_, name));
  const NodeId id = node->id;
  const auto unfinished = hub_.jobs().unfinished_on(id);
  if (!unfinished.empty() && !wire::bool_or(args, "force", false))
    return respond(fail(
        Code::kConflict,
        std::to_string(unfinished.size()) + (unfinished.size() == 1 ? " job has" : " jobs have") +
            " not ended on node \"" + name + "\", the first is " + unfinished.front()->key.job.text,
        "see: rexec ps --node " + name + "\nstop them: rexec stop " +
            unfinished.front()->key.job.text +
            "\nor give them up, they are lost then: rexec node rm --force " + name));
  hub_.post(
      [id, name, who = actor()](store::Database& db) {
        store::remove_node(db, id, wall_now());
        store::append_audit(db, wall_now(), {who, "node.rm", "node/" + id.text, name});
      },
      [this, self = shared_from_this(), id, name, respond](const Result<void>& saved) {
        if (!saved) return respond(std::unexpected(saved.error()));
        hub_.forget_node(id);
        respond(wire::Map{{"removed", name}});
      });
}

void ClientSession::node_wait(const wire::Map& args, const Respond& respond) {
  auto nodes = hub_.registry().select(wire::text_or(args, "target", "@all"));
  if (!nodes) return respond(std::unexpected(nodes.error()));
  auto share = hub_.budget().take({identity_.id}, Resource::kNodeWaits, nodes->size());
  if (!share) return respond(std::unexpected(share.error()));
  struct Waiting {
    explicit Waiting(asio::io_context& context) : timer(context.get_executor()) {}
    net::Timer timer;
    std::size_t left = 0;
    Share share;
    std::vector<Wish> wishes;
  };
  auto waiting = std::make_shared<Waiting>(hub_.context());
  waiting->left = nodes->size();
  waiting->share = std::move(*share);
  const auto limit =
      std::min<std::uint64_t>(wire::u64_or(args, "timeout_ms", 60'000), 7ULL * 86'400'000);
  // The session alone keeps it: with that it goes.
  const std::uint64_t number = next_wait_++;
  waits_[number] = waiting;
  waiting->timer.arm(Millis{static_cast<std::int64_t>(limit)}, [this, number, respond, limit] {
    const auto over = waits_.extract(number);
    if (over.empty()) return;
    const auto left = static_cast<const Waiting*>(over.mapped().get())->left;
    respond(fail(Code::kTimeout,
                 std::to_string(left) + " nodes did not come online within " +
                     format_duration(Millis{static_cast<std::int64_t>(limit)}),
                 "see: rexec node ls"));
  });
  for (const Node* node : *nodes) {
    const auto is_there = [this, number, respond, weak = std::weak_ptr(waiting), id = node->id,
                           name = node->name] {
      const auto still = weak.lock();
      const bool is_gone = hub_.registry().find(id) == nullptr;
      if (!still || (--still->left > 0 && !is_gone) || waits_.erase(number) == 0) return;
      if (!is_gone) return respond(wire::Map{{"online", true}});
      respond(fail(Code::kUnknownNode, "node \"" + name + "\" was removed", "see: rexec node ls"));
    };
    waiting->wishes.push_back(hub_.when_online(node->id, is_there));
  }
}

// ---- tokens and people

namespace {
// A token is for somebody who is expected: one that lives longer is a key that lies about.
constexpr std::uint64_t kLongestTokenLife = 30 * 86'400;
}  // namespace

void ClientSession::token_new(const wire::Map& args, const Respond& respond) {
  const auto allowed = policy_.administer(identity_.id, "making a token");
  if (!allowed) return respond(std::unexpected(allowed.error()));
  store::TokenRow row;
  row.id = random_id('t');
  row.kind =
      wire::text_or(args, "role", "node") == "user" ? pki::TokenKind::kUser : pki::TokenKind::kNode;
  row.name = wire::text_or(args, "name");
  if (!row.name.empty()) {
    auto good = check_name(row.kind == pki::TokenKind::kUser ? "user" : "node", row.name);
    if (!good) return respond(std::unexpected(good.error()));
  }
  if (wire::text_or(args, "user_role") == "admin") row.user_role = store::UserRole::kAdmin;
  auto labels = read_labels(wire::child_or_empty(args, "labels"));
  if (!labels) return respond(std::unexpected(labels.error()));
  row.labels = std::move(*labels);
  if (wire::bool_or(args, "replace", false)) row.replace = store::Replace::kYes;
  row.created_by = name_;
  row.created = wall_now();
  const std::uint64_t ttl_s = wire::u64_or(args, "ttl_s", 1800);
  if (ttl_s < 1 || ttl_s > kLongestTokenLife)
    return respond(fail(Code::kUsage, "a token lives from a second to 30 days",
                        "for example: rexec token new --ttl 30m"));
  row.expires = row.created + std::chrono::seconds(ttl_s);
  auto text =
      pki::encode_token({row.kind, hub_.addresses(), hub_.authority().pin(), row.id, row.secret});
  if (!text) return respond(std::unexpected(text.error()));
  hub_.post(
      [row, who = actor()](store::Database& db) {
        store::insert_token(db, row);
        store::append_audit(db, wall_now(), {who, "token.new", "token/" + row.id, row.name});
      },
      [respond, row, token = *text](const Result<void>& saved) {
        if (!saved) return respond(std::unexpected(saved.error()));
        respond(wire::Map{{"token", token},
                          {"id", row.id},
                          {"expires", to_iso8601(row.expires)},
                          {"name", row.name}});
      });
}

void ClientSession::token_ls(const wire::Map& args, const Respond& respond) {
  const auto allowed = policy_.administer(identity_.id, "listing tokens");
  if (!allowed) return respond(std::unexpected(allowed.error()));
  store::JobPlace after{0, {}};
  if (const std::string text = after_of(args); !text.empty()) {
    auto place = parse_cursor(text);
    if (!place) return respond(std::unexpected(place.error()));
    after = std::move(*place);
  }
  hub_.ask<std::vector<store::TokenRow>>(
      [after](store::Database& db) -> Result<std::vector<store::TokenRow>> {
        return store::load_tokens_after(db, WallTime{Millis{after.created_ms}}, after.id,
                                        kTokensAtOnce);
      },
      [&hub = hub_, who = identity_.id, respond](Result<std::vector<store::TokenRow>> rows) {
        hub.turns().go_on(who, [rows = std::move(rows), respond] {
          if (!rows) return respond(std::unexpected(rows.error()));
          respond(page_of(*rows).answer("tokens"));
        });
      });
}

void ClientSession::token_revoke(const wire::Map& args, const Respond& respond) {
  const auto allowed = policy_.administer(identity_.id, "revoking a token");
  if (!allowed) return respond(std::unexpected(allowed.error()));
  const std::string id = wire::text_or(args, "id");
  hub_.post(
      [id, who = actor()](store::Database& db) {
        store::revoke_token(db, id, wall_now());
        store::append_audit(db, wall_now(), {who, "token.revoke", "token/" + id, ""});
      },
      [respond, id](const Result<void>& saved) {
        if (!saved) return respond(std::unexpected(saved.error()));
        respond(wire::Map{{"revoked", id}});
      });
}

void ClientSession::user_ls(const wire::Map& args, const Respond& respond) {
  std::vector<const store::UserRow*> users;
  for (const auto& [id, row] : hub_.users())
    if (!row.revoked) users.push_back(&row);
  respond(page_behind(
              after_of(args), users, std::less<>(),
              [](const store::UserRow* row) -> const std::string& { return row->id.text; },
              [](const store::UserRow* row) {
                return wire::Map{{"name", row->name},
                                 {"id", row->id.text},
                                 {"role", store::user_role_name(row->role)},
                                 {"created", to_iso8601(row->created)}};
              })
              .answer("users"));
}

void ClientSession::user_revoke(const wire::Map& args, const Respond& respond) {
  const auto allowed = policy_.administer(identity_.id, "revoking a user");
  if (!allowed) return respond(std::unexpected(allowed.error()));
  const std::string name = wire::text_or(args, "name");
  const auto at = std::find_if(hub_.users().begin(), hub_.users().end(), [&](const auto& entry) {
    return entry.second.name == name && !entry.second.revoked;
  });
  if (at == hub_.users().end())
    return respond(fail(Code::kUnknownObject, "no user \"" + name + "\"", "see: rexec user ls"));
  const UserId id = at->second.id;
  hub_.post(
      [id, name, who = actor()](store::Database& db) {
        store::revoke_user(db, id, wall_now());
        store::append_audit(db, wall_now(), {who, "user.revoke", "user/" + id.text, name});
      },
      [this, self = shared_from_this(), id, name, respond](const Result<void>& saved) {
        if (!saved) return respond(std::unexpected(saved.error()));
        hub_.forget_user(id.text);
        respond(wire::Map{{"revoked", name}});
      });
}

}  // namespace rexec::controller
