// Those on the port who have not shown who they are: counted, overall and by source, from their
// accept until they have, or until their descriptor is closed; and shed, the oldest first, when
// they are too many or their time is over, whatever they sent meanwhile. Pure: it is handed the
// time, and what being shed means is the holder's to say. The listener admits and sheds them.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "src/base/clock.hpp"

namespace rexec::net {

struct StrangerLimits {
  std::size_t together = 1024;
  std::size_t per_source = 512;  // an IPv4 address or an IPv6 /64
  // From the accept to an accepted identity. On a link with a round trip of two seconds an
  // enrolment takes four.
  Millis deadline{10'000};
};

// What may be spent on strangers when the process may have so many descriptors: a quarter of them,
// and of that a half on one source. The rest is for those who are known.
StrangerLimits stranger_limits(std::size_t descriptors);

class Strangers {
  struct State;

 public:
  // One of them, for as long as somebody holds it.
  class Place {
   public:
    Place(std::shared_ptr<State> state, std::string source, BootTime since);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    // What is to be done when it is shed: its descriptor is to be closed. Called at most once.
    void on_shed(std::function<void()> action) { action_ = std::move(action); }

   private:
    friend class Strangers;
    void leave();

    std::shared_ptr<State> state_;  // none: it counts no more
    std::string source_;
    BootTime since_;
    std::function<void()> action_;
  };

  Strangers();
  // A newcomer, for whom the oldest of his source, or of all, give way.
  std::shared_ptr<Place> admit(const std::string& source, BootTime now,
                               const StrangerLimits& limits);
  // False when there is none.
  bool shed_oldest();
  // Those who came then or before.
  void shed_until(BootTime time);
  // When the oldest of them came.
  std::optional<BootTime> oldest() const;
  std::size_t size() const;

 private:
  static void shed(Place& place);

  std::shared_ptr<State> state_;
};

}  // namespace rexec::net
