// The exchange with a node: ask what it holds, send what differs, name what it may keep; afterwards
// what changes. All of it in pieces, each when the one before was answered, and little in one turn:
// there may be thousands of schedules on a node. Part of schedules.hpp.
#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/controller/state/hub.hpp"
#include "src/controller/state/schedules.hpp"

namespace rexec::controller {
namespace {

// A put is up to 150 KiB, and a dozen of them are made in a millisecond.
constexpr std::size_t kPutsUnderWay = 8;
constexpr std::size_t kNamesInPage = 4'000;  // ids in one schedule.keep: 60 KiB

}  // namespace

void Schedules::node_online(const NodeId& id) {
  Link& link = links_[id] = {};
  link.number = ++last_number_;
  list(id, link.number, {});
}

Schedules::Link* Schedules::open_link(const NodeId& id, std::uint64_t number) {
  const Node* node = hub_.registry().find(id);
  const auto link = links_.find(id);
  const bool is_open = node != nullptr && node->link != nullptr && link != links_.end() &&
                       link->second.number == number;
  return is_open ? &link->second : nullptr;
}

void Schedules::list(const NodeId& id, std::uint64_t number, const std::string& after) {
  if (open_link(id, number) == nullptr) return;
  hub_.ask_node(*hub_.registry().find(id), "schedule.list", {{"after", after}},
                [this, id, number, after](const Result<wire::Map>& answer) {
                  Link* link = open_link(id, number);
                  if (link == nullptr) return;
                  if (!answer)
                    return static_cast<void>(
                        hub_.node_log().say(LogLevel::kWarn, NodeNews::kSchedules, id,
                                            "a node does not say which schedules it holds",
                                            {{"node", id.text}, {"why", answer.error().message}}));
                  const wire::Map& states = wire::child_or_empty(*answer, "schedules");
                  take_states(id, states);
                  const std::string last = states.is_array() && !states.empty()
                                               ? wire::text_or(states.back(), "id")
                                               : "";
                  if (wire::bool_or(*answer, "more", false) && is_id(last, 's') && last > after)
                    return list(id, number, last);
                  link->is_listed = true;
                  for (const auto& [known, schedule] : all_)
                    link->dirty.insert(link->dirty.end(), known);
                  turn(id, number);
                });
}

void Schedules::turn_soon(const NodeId& id, Link& link) {
  if (std::exchange(link.is_turn_posted, true)) return;
  hub_.next_turn([this, id, number = link.number] {
    if (Link* open = open_link(id, number)) {
      open->is_turn_posted = false;
      turn(id, number);
    }
  });
}

// Sends what there is room for; when all of it was taken the node hears what it may keep.
void Schedules::turn(const NodeId& id, std::uint64_t number) {
  Link* link = open_link(id, number);
  // What comes while it is named would be missing among what the node may keep.
  if (link == nullptr || link->is_naming) return;
  Node& node = *hub_.registry().find(id);
  for (std::size_t looked = 0; !link->dirty.empty(); ++looked) {
    if (link->under_way >= kPutsUnderWay) return;
    if (looked == kSchedulesInTurn) return turn_soon(id, *link);
    put_one(node, *link, link->dirty.extract(link->dirty.begin()).value());
  }
  if (link->under_way > 0 || link->is_named || link->is_naming) return;
  link->is_naming = link->is_named = true;
  name_kept(id, number, {});
}

void Schedules::put_one(Node& node, Link& link, const std::string& id) {
  const auto at = all_.find(id);
  if (at == all_.end() || !is_wanted(at->second, node)) {
    if (link.named.erase(id) > 0) link.is_named = false;
    return;
  }
  const Schedule& schedule = at->second;
  link.named[id] = schedule.row.revision;
  const auto copy = copy_for(schedule, node.id);
  if (!copy) return;
  ++link.under_way;
  hub_.ask_node(node, "schedule.put", message(schedule, *copy, node.id),
                [this, id = node.id, number = link.number,
                 name = schedule.row.name](const Result<wire::Map>& answer) {
                  Link* open = open_link(id, number);
                  if (open == nullptr) return;
                  --open->under_way;
                  // A session that has just ended says so at once: the next one begins anew.
                  if (!answer && answer.error().code == Code::kLinkLost) return;
                  if (answer)
                    take_states(id, wire::Map::array({*answer}));
                  else
                    hub_.node_log().say(
                        LogLevel::kWarn, NodeNews::kSchedules, id, "a node did not take a schedule",
                        {{"node", id.text}, {"schedule", name}, {"why", answer.error().message}});
                  turn(id, number);
                });
  fail_point(FailPoint::kControllerScheduleSent);
}

void Schedules::name_kept(const NodeId& id, std::uint64_t number, const std::string& after) {
  Link* link = open_link(id, number);
  if (link == nullptr) return;
  wire::Map ids = wire::Map::array();
  auto at = link->named.upper_bound(after);
  for (; at != link->named.end() && ids.size() < kNamesInPage; ++at) ids.push_back(at->first);
  const bool is_more = at != link->named.end();
  const std::string last = ids.empty() ? std::string() : ids.back().get<std::string>();
  hub_.ask_node(*hub_.registry().find(id), "schedule.keep",
                {{"ids", std::move(ids)}, {"more", is_more}},
                [this, id, number, is_more, last](const Result<wire::Map>& answer) {
                  Link* open = open_link(id, number);
                  if (open == nullptr) return;
                  if (is_more && answer) return name_kept(id, number, last);
                  open->is_naming = false;
                  if (answer) dropped(id, wire::child_or_empty(*answer, "dropped"));
                  turn(id, number);
                });
}

}  // namespace rexec::controller
