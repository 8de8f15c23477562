// What is said about a job that has ended: nothing that a local command would not say either. Words
// only, escaped; the follower and `wait` say them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.hpp"
#include "src/base/error.hpp"
#include "src/wire/maps.hpp"

namespace rexec::cli {

// Whose end it is, and what the words need to know of how it was asked for.
struct EndOf {
  std::string node;
  std::string prefix;         // "node: " among several, else empty
  std::string workdir;        // as it was asked for
  std::string not_found;      // the next step when the node finds nothing to execute
  bool output_wanted = true;  // false: what is missing of it is not missed
};

struct EndWords {
  std::optional<Error> failure;  // nothing was started
  // How it ended, when that is not well. Of one among several it is why the whole fails, which is
  // never without a word.
  std::string ending;
  std::vector<std::string> remarks;  // what was lost or left
};

EndWords end_words(const EndOf& job, const wire::Map& record);

// After a refusal by `node`.
std::string next_step(Code code, const std::string& node, const std::string& not_found);

// Of a job whose output nobody can give: the record's "unreachable" is the controller's word,
// removed, replaced, forgotten or given_up.
Error unreachable_words(const wire::Map& record, const std::string& node, const std::string& job,
                        WallTime now);

}  // namespace rexec::cli
