#include "cli/enrol/labels.hpp"

#include "src/base/ids.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {

Result<std::map<std::string, std::string>> parse_labels(const std::vector<std::string>& words) {
  std::map<std::string, std::string> labels;
  for (const std::string& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) {
      return fail(Code::kUsage, "--label: \"" + printable(word.substr(0, 64)) + "\" is not K=V");
    }
    const std::string key = word.substr(0, equals);
    const Result<void> good = check_name("label", key);
    if (!good) return std::unexpected(good.error());
    labels[key] = word.substr(equals + 1);
  }
  return labels;
}

}  // namespace rexec::cli
