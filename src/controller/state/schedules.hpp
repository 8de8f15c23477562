// The schedules: what there is, and that every node of a target holds its copy with the next
// firings and their tickets. The node fires (agent/schedules.*); its jobs come back as any other's,
// by their ticket. Nothing here starts a job. The verbs are in schedule_verbs.cpp.
//
// A firing's request id is "<schedule>.<nominal ms>", so its job id follows from schedule, nominal
// time and node: whoever hands it out again hands out the same job, which starts at most once.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/controller/core/budget.hpp"
#include "src/controller/core/jobs.hpp"
#include "src/controller/core/registry.hpp"
#include "src/schedule/firing.hpp"
#include "src/schedule/overlap.hpp"
#include "src/select/selector.hpp"
#include "src/store/tables/jobs.hpp"
#include "src/store/tables/schedules.hpp"

namespace rexec::controller {

class Hub;

inline constexpr std::size_t kSchedulesInTurn = 200;  // looked at before others are served
// A copy travels in one frame.
inline constexpr std::size_t kMaxScheduleSpec = 128 << 10;

// What a node said of its copy.
struct NodeProgress {
  std::int64_t revision = 0;
  WallTime cursor{};       // the newest firing it has decided on
  std::uint64_t left = 0;  // firings it holds beyond that
  wire::Map told;          // all of it, for `schedule show`
};

struct Schedule {
  store::ScheduleRow row;
  std::optional<schedule::TimeRule> rule;  // none: `error` says why
  select::Selector selector;
  std::string error;
  std::map<NodeId, NodeProgress> nodes;
  std::pair<Share, Share> shares;  // of its owner's schedules, and of their specs' bytes

  bool is_active() const { return row.state == store::ScheduleState::kActive; }
};

class Schedules {
 public:
  explicit Schedules(Hub& hub);
  using FindJob = std::function<std::optional<store::JobRow>(const JobId&)>;
  void load(const std::vector<store::ScheduleRow>& rows, const FindJob& find_job);

  // By name or id, if that user may see it.
  Result<const Schedule*> find(const std::string& user, const std::string& name);
  std::vector<const Schedule*> visible_to(const std::string& user);
  std::size_t size() const { return all_.size(); }
  schedule::ZoneFiles& zones() { return zones_; }
  // False once its user was revoked: nothing fires for him.
  bool has_owner(const Schedule& schedule) const;
  std::vector<Node*> nodes_of(const Schedule& schedule);
  // Whether every node of it is known to have decided on the last firing that has come.
  bool is_decided(const Schedule& schedule, WallTime now);
  // The names of offline nodes that have, or may have, another revision than this of its row.
  std::vector<std::string> unheard_by(const Schedule& schedule, std::int64_t revision) const;

  // After the commit: the memory and the nodes follow.
  void put(const store::ScheduleRow& row);
  void remove(const std::string& id);

  void node_online(const NodeId& node);
  // A node, a label or a user came or went: who holds what may differ now.
  void fleet_changed();
  // {schedules: [state]}, whenever something changed there.
  void reported(const NodeId& node, const wire::Map& args);
  // Of a job that is known by its ticket alone: what it is, if a schedule started it; else false.
  bool recognise(Job& job);

 private:
  // The exchange with one node, from its coming to its going.
  struct Link {
    std::uint64_t number = 0;  // tells it from that of an earlier coming
    bool is_listed = false;    // what the node holds is known
    bool is_named = false;     // what it may keep was said, and nothing went since
    bool is_naming = false;
    bool is_turn_posted = false;
    std::size_t under_way = 0;                  // puts without an answer
    std::set<std::string> dirty;                // to be looked at, and sent if need be
    std::map<std::string, std::int64_t> named;  // ids and revisions that it is to hold
  };
  struct Copy {
    WallTime after;
    std::vector<WallTime> firings;
  };
  void recall(Schedule& schedule, const FindJob& find_job);
  bool is_wanted(const Schedule& schedule, const Node& node) const;
  // Does the node hold what it is to hold of it? Then nothing; else that is seen to.
  void look_at(Node& node, const std::string& id);
  void touch(const NodeId& node, const std::string& id);
  void take_states(const NodeId& node, const wire::Map& states);
  // What the node should be sent; none: it has all there is to have.
  std::optional<Copy> copy_for(const Schedule& schedule, const NodeId& node) const;
  wire::Map message(const Schedule& schedule, const Copy& copy, const NodeId& node) const;
  // The link's state if it is still that of this number, and the node is there.
  Link* open_link(const NodeId& id, std::uint64_t number);
  void list(const NodeId& id, std::uint64_t number, const std::string& after);
  void turn(const NodeId& id, std::uint64_t number);
  void turn_soon(const NodeId& id, Link& link);
  void put_one(Node& node, Link& link, const std::string& id);
  void name_kept(const NodeId& id, std::uint64_t number, const std::string& after);
  void dropped(const NodeId& node, const wire::Map& ids);
  void look_again();
  void look_on(std::vector<NodeId> nodes, const std::string& after);

  Hub& hub_;
  schedule::ZoneFiles zones_;
  std::map<std::string, Schedule> all_;  // by id
  std::map<NodeId, Link> links_;
  std::uint64_t last_number_ = 0;
  bool is_looking_ = false;  // a walk is to come
  bool is_walking_ = false;  // over all nodes and schedules, some a turn
  bool walk_again_ = false;
};

// "s-….1795260000000"
std::string firing_request(const std::string& schedule, WallTime nominal);
// The schedule of such a request; empty when it is another.
std::string schedule_of_request(const std::string& request);

}  // namespace rexec::controller
