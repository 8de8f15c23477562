#include "cli/job_lookup.hpp"

#include <charconv>

#include "cli/call.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {

Result<client::JobInfo> find_job(const Globals& globals, const std::string& prefix) {
  const Result<wire::Map> job = call(globals, "job.resolve", {{"prefix", prefix}});
  if (!job) return std::unexpected(job.error());
  client::JobInfo info;
  info.job = wire::text_or(*job, "job");
  info.node = wire::text_or(*job, "node");
  info.ticket = wire::text_or(*job, "ticket");
  info.attempt = static_cast<std::uint32_t>(wire::u64_or(*job, "attempt", 1));
  return info;
}

Result<void> read_from(const std::string& text, client::JobInfo& into) {
  const auto number = [](std::string_view digits, std::uint64_t& to) {
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, to);
    return error == std::errc() && stop == end && !digits.empty();
  };
  if (text.empty() || number(text, into.out)) return {};
  for (const std::string& part : split(text, ',')) {
    const bool is_out = part.starts_with("out=");
    const bool is_err = part.starts_with("err=");
    if ((is_out || is_err) &&
        number(std::string_view(part).substr(4), is_out ? into.out : into.err)) {
      continue;
    }
    return fail(Code::kUsage, "--from: \"" + printable(text.substr(0, 64)) + "\" is not a position",
                "write a byte of stdout, or out=N,err=N");
  }
  return {};
}

}  // namespace rexec::cli
