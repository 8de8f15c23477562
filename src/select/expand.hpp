// `node[01-20,30]` to names. Called by the parser alone; pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.hpp"

namespace rexec::select {

struct ExpandError {
  Code code = Code::kUsage;
  std::size_t offset = 0;  // into the pattern
  std::string why;
  std::string hint;
};

// Several brackets multiply. A start with leading zeros pads to its own width. At most `max_names`;
// one more is kLimit, found before anything is built.
std::expected<std::vector<std::string>, ExpandError> expand_names(std::string_view pattern,
                                                                  std::size_t max_names);

}  // namespace rexec::select
