// Who waits for what: for a job's end, for a node. Part of the hub.
#include <algorithm>

#include "src/controller/state/hub.hpp"

namespace rexec::controller {
namespace {

// An agent's network process is back within a fraction of a second; a controller's restart costs
// its agents about as long.
constexpr Nanos kBackSoon = std::chrono::seconds(3);

// After a link that went: a node's session may end a moment before its node counts as away.
constexpr Millis kTellAgain{1'000};

// Of those who wait for one event, in one turn of the reactor.
constexpr std::size_t kToldInTurn = 64;

}  // namespace

Wish Hub::when_final(const std::shared_ptr<Job>& job, std::function<void()> callback) {
  if (!job->is_final()) return when_final_.add(job->key.job, std::move(callback));
  callback();
  return {};
}

void Hub::tell_final(const JobId& id) {
  if (when_final_.fulfil(id, kToldInTurn)) next_turn([this, id] { tell_final(id); });
}

Result<std::shared_ptr<const KeptSpec>> Hub::keep_spec(const UserId& owner, std::string spec,
                                                       Keeping keeping, std::size_t beside) {
  const std::size_t bytes = spec.size() + beside;
  if (keeping == Keeping::kHold)
    return std::make_shared<const KeptSpec>(budget_.hold(owner, Resource::kSpecs, bytes),
                                            std::move(spec));
  auto share = budget_.take(owner, Resource::kSpecs, bytes);
  if (!share) return std::unexpected(share.error());
  return std::make_shared<const KeptSpec>(std::move(*share), std::move(spec));
}

// That it is there, or removed. One that goes again meanwhile has them wait on.
void Hub::tell_online(const NodeId& id) {
  const Node* node = registry_.find(id);
  if (node != nullptr && node->link == nullptr) return;
  if (when_online_.fulfil(id, kToldInTurn)) next_turn([this, id] { tell_online(id); });
}

Wish Hub::when_online(const NodeId& id, std::function<void()> action) {
  const Node* node = registry_.find(id);
  if (node == nullptr || node->link == nullptr) return when_online_.add(id, std::move(action));
  action();
  return {};
}

void Hub::tell_read(const AttemptKey& key) {
  Job* job = jobs_.find(key.job);
  if (job == nullptr) return;
  job->tells_read = when_online(job->node, [this, key, id = job->node] {
    const Node* node = registry_.find(id);
    if (node == nullptr) return;
    ask_node(*node, "job.read", {{"job", key.job.text}, {"attempt", key.attempt}},
             [this, key](const Result<wire::Map>& answer) {
               if (answer || answer.error().code != Code::kLinkLost) return;
               after(kTellAgain, [this, key] { tell_read(key); });
             });
  });
}

Nanos Hub::away_for(const NodeId& id) {
  const Node* node = registry_.find(id);
  if (node == nullptr || node->link != nullptr) return Nanos::zero();
  return BootClock::now() - std::max(node->lost_at, started_);
}

Nanos Hub::expected_for(const NodeId& id) {
  const Node* node = registry_.find(id);
  if (node == nullptr || node->link != nullptr) return Nanos::zero();
  return std::max(Nanos::zero(), kBackSoon - away_for(id));
}

// Those before `next` are there or not expected; what became of one since then its submit sees.
struct Hub::Settling {
  std::vector<NodeId> nodes;
  std::size_t next = 0;
  std::function<void()> action;
  Wish wish;
};

void Hub::when_settled(std::vector<NodeId> nodes, std::function<void()> action) {
  settle_on(std::make_shared<Settling>(std::move(nodes), 0, std::move(action), Wish()));
}

void Hub::settle_on(const std::shared_ptr<Settling>& settling) {
  std::size_t& next = settling->next;
  while (next < settling->nodes.size() && expected_for(settling->nodes[next]) == Nanos::zero())
    ++next;
  if (next == settling->nodes.size()) return settling->action();
  // It is back, or its time is over: whichever comes first looks on.
  const auto on = [this, settling, at = next] {
    if (settling->next != at || !settling->action) return;
    ++settling->next;
    settling->wish.reset();
    settle_on(settling);
  };
  const NodeId& missing = settling->nodes[next];
  after(std::chrono::ceil<Millis>(expected_for(missing)), on);
  settling->wish = when_online(missing, on);
}

}  // namespace rexec::controller
