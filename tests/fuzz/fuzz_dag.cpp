// Any text as a DAG file: refused in words, or jobs each of which stands after those it names.
#include <set>

#include "cli/run/run_flags.hpp"
#include "src/base/check.hpp"

using namespace rexec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // Flags that would read other files.
  for (const char* word : {"script", "env-file"})
    if (text.find(word) != text.npos) return 0;
  const auto map = parse_config(text, "jobs.toml");
  if (!map) return 0;
  const auto jobs = cli::plan_dag(*map, "jobs.toml");
  if (!jobs) {
    check(!jobs.error().message.empty(), "a refusal has words");
    return 0;
  }
  std::set<std::string> before;
  for (const auto& job : *jobs) {
    check(!job.targets.empty() && !job.spec.empty(), "a job has a target and a command");
    for (const auto& after : job.waits.after)
      check(before.contains(after.job), "a job stands after those it names");
    check(before.insert(job.name).second, "a name is one job's");
  }
  return 0;
}
