// The pages of `rexec help TOPIC` that are about no single verb.
#pragma once

#include <span>
#include <string_view>

namespace rexec::cli {

struct HelpTopic {
  std::string_view name;
  std::string_view summary;
  std::string_view text;
};
std::span<const HelpTopic> help_topics();

}  // namespace rexec::cli
