// Who a run waits for, and how long it still does: its own link to the controller, and of several
// jobs each one's node, because what one node does is nothing that the others' readers can help.
// Times come in as values; run.* asks and acts.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "src/base/clock.hpp"

namespace rexec::client {

class Absences {
 public:
  // `most`: --reconnect, for the link and for each node alike.
  explicit Absences(Millis most) : most_(most) {}

  // Unless it is away. Meanwhile nothing is known of the nodes: they are waited for anew after it.
  void link_broke(BootTime now);
  void link_is_back() { link_since_.reset(); }
  bool is_link_away() const { return link_since_.has_value(); }
  // Of an absence of the link, 0 or less when it is over; more than `most` while there is none.
  Millis link_left(BootTime now) const;

  // True when that is news. One that is away stays so over a break of the link.
  bool node_left(std::size_t job, BootTime now);
  bool node_came(std::size_t job) { return nodes_.erase(job) > 0; }
  bool is_node_away(std::size_t job) const { return nodes_.contains(job); }
  // The jobs whose nodes have been away for too long.
  std::vector<std::size_t> overdue(BootTime now) const;
  // Until overdue() has one more; at most `otherwise`.
  Millis until_next(BootTime now, Millis otherwise) const;

 private:
  Millis left(BootTime since, BootTime now) const;

  const Millis most_;
  std::optional<BootTime> link_since_;
  std::map<std::size_t, std::optional<BootTime>> nodes_;  // nullopt: it is not counted
};

}  // namespace rexec::client
