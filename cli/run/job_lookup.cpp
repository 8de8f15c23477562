#include "cli/run/job_lookup.hpp"

#include <charconv>
#include <utility>

#include "cli/line/call.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {

Result<client::JobInfo> find_job(const Globals& globals, const std::string& prefix,
                                 const client::JobInfo& from) {
  const Result<wire::Map> job = call(globals, "job.resolve", {{"prefix", prefix}});
  if (!job) return std::unexpected(job.error());
  client::JobInfo info;
  info.job = wire::text_or(*job, "job");
  info.node = wire::text_or(*job, "node");
  info.ticket = wire::text_or(*job, "ticket");
  info.attempt = static_cast<std::uint32_t>(wire::u64_or(*job, "attempt", 1));
  info.out = from.out;
  info.err = from.err;
  info.ended = wire::child_or_empty(*job, "record").contains("outcome");
  const auto beyond = beyond_end(info, wire::child_or_empty(*job, "record"));
  if (beyond) return std::unexpected(*beyond);
  return info;
}

std::optional<Error> beyond_end(const client::JobInfo& from, const wire::Map& record) {
  const std::string outcome = wire::text_or(record, "outcome");
  // A job that never ran, or got lost, has counts that say nothing.
  if (outcome != "exited" && outcome != "signaled" && outcome != "timeout" && outcome != "stopped")
    return std::nullopt;
  const wire::Map& bytes = wire::child_or_empty(record, "bytes");
  for (const auto& [side, begin] : {std::pair{"out", from.out}, std::pair{"err", from.err}}) {
    const std::uint64_t end = wire::u64_or(bytes, side, begin);
    if (begin <= end) continue;
    return Error{Code::kUsage,
                 std::string("--from: ") + side + "=" + std::to_string(begin) +
                     " is beyond the end, " + printable(from.job) + " wrote " +
                     std::to_string(end) + " bytes of std" + side,
                 "see: rexec logs " + printable(from.job)};
  }
  return std::nullopt;
}

Result<void> read_from(const std::string& text, client::JobInfo& into) {
  const auto number = [](std::string_view digits, std::uint64_t& to) {
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, to);
    return error == std::errc() && stop == end && !digits.empty();
  };
  if (number(text, into.out)) return {};
  bool seen[2] = {};
  for (const std::string& part : split(text, ',')) {
    const bool is_out = part.starts_with("out=");
    const bool is_err = part.starts_with("err=");
    const bool is_new = !std::exchange(seen[is_err ? 1 : 0], true);
    if ((is_out || is_err) && is_new &&
        number(std::string_view(part).substr(4), is_out ? into.out : into.err)) {
      continue;
    }
    return fail(Code::kUsage, "--from: \"" + printable(text.substr(0, 64)) + "\" is not a position",
                "write a byte of stdout, or out=N,err=N");
  }
  return {};
}

}  // namespace rexec::cli
