#include "src/net/strangers.hpp"

#include <algorithm>
#include <utility>

namespace rexec::net {
namespace {

// With fewer descriptors than four times this there is no room to be fair to anybody.
constexpr std::size_t kFewest = 8;
// More would be memory for nothing: who is genuine is done within milliseconds.
constexpr std::size_t kMost = 1024;

}  // namespace

StrangerLimits stranger_limits(std::size_t descriptors) {
  StrangerLimits limits;
  limits.together = std::clamp(descriptors / 4, kFewest, kMost);
  limits.per_source = limits.together / 2;
  return limits;
}

// Both lists have the oldest first.
struct Strangers::State {
  std::list<Place*> all;
  std::unordered_map<std::string, std::list<Place*>> by_source;
};

Strangers::Place::Place(std::shared_ptr<State> state, std::string source, BootTime since)
    : state_(std::move(state)), source_(std::move(source)), since_(since) {
  state_->all.push_back(this);
  state_->by_source[source_].push_back(this);
}

Strangers::Place::~Place() { leave(); }

void Strangers::Place::leave() {
  const auto state = std::exchange(state_, nullptr);
  if (!state) return;
  state->all.remove(this);
  const auto at = state->by_source.find(source_);
  at->second.remove(this);
  if (at->second.empty()) state->by_source.erase(at);
}

Strangers::Strangers() : state_(std::make_shared<State>()) {}

std::shared_ptr<Strangers::Place> Strangers::admit(const std::string& source, BootTime now,
                                                   const StrangerLimits& limits) {
  for (auto at = state_->by_source.find(source);
       at != state_->by_source.end() && at->second.size() >= limits.per_source;
       at = state_->by_source.find(source))
    shed(*at->second.front());
  while (state_->all.size() >= limits.together) shed(*state_->all.front());
  return std::make_shared<Place>(state_, source, now);
}

bool Strangers::shed_oldest() {
  if (state_->all.empty()) return false;
  shed(*state_->all.front());
  return true;
}

void Strangers::shed_until(BootTime time) {
  while (!state_->all.empty() && state_->all.front()->since_ <= time) shed(*state_->all.front());
}

std::optional<BootTime> Strangers::oldest() const {
  if (state_->all.empty()) return std::nullopt;
  return state_->all.front()->since_;
}

std::size_t Strangers::size() const { return state_->all.size(); }

// Its holder lets go of it, now or when the reactor lets go of the descriptor.
void Strangers::shed(Place& place) {
  place.leave();
  if (const auto action = std::exchange(place.action_, {})) action();
}

}  // namespace rexec::net
