// Ids of different things are different types. A job id is "j-" and 12 Crockford characters
// (60 bits). What an id refers to is the store's and the registry's business.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "src/base/error.hpp"

namespace rexec {

template <class Tag>
struct Id {
  std::string text;
  auto operator<=>(const Id&) const = default;
  bool empty() const { return text.empty(); }
};
using JobId = Id<struct JobTag>;    // j-xxxxxxxxxxxx
using RunId = Id<struct RunTag>;    // r-xxxxxxxxxxxx: groups the jobs of one fan-out
using NodeId = Id<struct NodeTag>;  // n-xxxxxxxxxxxx, in certificates; names are for people
using UserId = Id<struct UserTag>;  // u-xxxxxxxxxxxx

// One start of a job. Restarts count up; (job, attempt) is started at most once.
struct AttemptKey {
  JobId job;
  std::uint32_t attempt = 1;
  auto operator<=>(const AttemptKey&) const = default;
};

// "<prefix>-" and 12 random Crockford characters; prefix is j, r, n, u, t …
std::string random_id(char prefix);
// True for "<prefix>-" and exactly 12 lower-case Crockford characters.
bool is_id(std::string_view text, char prefix);
// The name a node, user, group, label key or context may have: 1–63 of [a-z0-9A-Z._-], begins and
// ends alphanumeric. kUsage otherwise.
Result<void> check_name(std::string_view what, std::string_view name);

}  // namespace rexec

template <class Tag>
struct std::hash<rexec::Id<Tag>> {
  std::size_t operator()(const rexec::Id<Tag>& id) const {
    return std::hash<std::string>{}(id.text);
  }
};
