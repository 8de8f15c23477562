// The end record and its JSON. See record.hpp.
#include "src/job/spec/record.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/base/text.hpp"

namespace rexec::job {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 8> kOutcomes{
    "exited", "signaled", "timeout", "stopped", "lost", "unreachable", "denied", "not_started"};
constexpr std::array<std::string_view, 4> kGivenUp{"", "read", "room", kClientEnded};
constexpr std::size_t kMaxRecordText = 64 << 10;

// Only what is printable gets in, so quotes and backslashes are all there is to escape.
std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : printable(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// A command's name of 100 KiB stands in the words about why it could not be run. Escaped it is four
// times as long, and the whole record has at most kMaxRecordText.
constexpr std::size_t kMostWords = 4'000;
std::string_view cut(std::string_view words) { return words.substr(0, kMostWords); }

void field(std::string& out, std::string_view key, std::string value) {
  out += out.size() > 1 ? ",\"" : "\"";
  out.append(key).append("\":").append(value);
}

std::string seconds(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6f", std::isfinite(value) && value > 0 ? value : 0.0);
  return text;
}

std::string pair_of(const PerStream<std::uint64_t>& value) {
  return "{\"out\":" + std::to_string(value.out) + ",\"err\":" + std::to_string(value.err) + "}";
}
std::string pair_of(const PerStream<std::string>& value) {
  return "{\"out\":" + quote(value.out) + ",\"err\":" + quote(value.err) + "}";
}

template <class T>
void read(const json& from, const char* key, T& into) {
  const auto found = from.find(key);
  if (found == from.end()) return;
  if constexpr (std::is_same_v<T, bool>) {
    if (found->is_boolean()) into = found->get<bool>();
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (found->is_string()) into = found->get<std::string>();
  } else if constexpr (std::is_floating_point_v<T>) {
    if (found->is_number()) into = found->get<double>();
  } else {
    // Negative or out of range: left as it is, like a wrong type.
    if (found->is_number_unsigned() && std::in_range<T>(found->get<std::uint64_t>()))
      into = static_cast<T>(found->get<std::uint64_t>());
  }
}

template <class T>
void read(const json& from, const char* key, PerStream<T>& into) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_object()) return;
  read(*found, "out", into.out);
  read(*found, "err", into.err);
}

void read_given_up(const json& from, EndRecord& record) {
  const auto found = from.find("given_up");
  if (found == from.end() || !found->is_object()) return;
  std::string why;
  read(*found, "why", why);
  read(*found, "ms", record.given_up_ms);
  record.given_up = given_up_from_name(why);
}

void read_fields(const json& from, EndRecord& record) {
  read(from, "node", record.node);
  read(from, "job", record.key.job.text);
  read(from, "attempt", record.key.attempt);
  read(from, "code", record.code);
  read(from, "signal", record.signal);
  read(from, "oom", record.oom);
  read(from, "bytes", record.bytes);
  read(from, "xxh128", record.xxh128);
  read(from, "sha256", record.sha256);
  read(from, "complete", record.complete);
  read(from, "reason", record.reason);
  read(from, "message", record.message);
  read(from, "wall_s", record.wall_s);
  read(from, "cpu_s", record.cpu_s);
  read(from, "max_rss", record.max_rss);
  read(from, "left_behind", record.left_behind);
  read(from, "dropped", record.dropped);
  read(from, "started_ms", record.started_ms);
  read(from, "ended_ms", record.ended_ms);
  read_given_up(from, record);
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  return kOutcomes[static_cast<std::size_t>(outcome)];
}

std::string_view given_up_name(GivenUp why) { return kGivenUp[static_cast<std::size_t>(why)]; }

GivenUp given_up_from_name(std::string_view name) {
  const auto* const at = std::ranges::find(kGivenUp, name);
  return at == kGivenUp.end() ? GivenUp::kNot : static_cast<GivenUp>(at - kGivenUp.begin());
}

Result<Outcome> outcome_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kOutcomes.size(); ++i)
    if (kOutcomes[i] == name) return static_cast<Outcome>(i);
  return fail(Code::kProtocol, "unknown outcome " + printable(name));
}

RefusedEnd end_of_refusal(Code code) {
  if (code == Code::kRefusedByNode || code == Code::kDenied) return {Outcome::kDenied, 120};
  return {};
}

std::string to_json(const EndRecord& record) {
  std::string out = "{";
  field(out, "node", quote(record.node));
  field(out, "job", quote(record.key.job.text));
  field(out, "attempt", std::to_string(record.key.attempt));
  field(out, "outcome", quote(outcome_name(record.outcome)));
  field(out, "code", std::to_string(record.code));
  field(out, "signal", record.signal == 0 ? "null" : std::to_string(record.signal));
  field(out, "oom", record.oom ? "true" : "false");
  field(out, "bytes", pair_of(record.bytes));
  field(out, "xxh128", pair_of(record.xxh128));
  if (!record.sha256.out.empty() || !record.sha256.err.empty())
    field(out, "sha256", pair_of(record.sha256));
  field(out, "complete", record.complete ? "true" : "false");
  field(out, "reason", quote(cut(record.reason)));
  field(out, "message", quote(cut(record.message)));
  field(out, "wall_s", seconds(record.wall_s));
  field(out, "cpu_s", seconds(record.cpu_s));
  field(out, "max_rss", std::to_string(record.max_rss));
  field(out, "left_behind", std::to_string(record.left_behind));
  field(out, "dropped", pair_of(record.dropped));
  field(out, "started_ms", std::to_string(record.started_ms));
  field(out, "ended_ms", std::to_string(record.ended_ms));
  if (record.given_up != GivenUp::kNot)
    field(out, "given_up",
          "{\"why\":" + quote(given_up_name(record.given_up)) +
              ",\"ms\":" + std::to_string(record.given_up_ms) + "}");
  return out + "}";
}

Result<EndRecord> record_from_json(std::string_view text) {
  if (text.size() > kMaxRecordText) return fail(Code::kLimit, "end record larger than 64 KiB");
  const json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return fail(Code::kProtocol, "end record is not a JSON object");
  const auto outcome = parsed.find("outcome");
  const auto code = parsed.find("code");
  if (outcome == parsed.end() || !outcome->is_string() || code == parsed.end() ||
      !code->is_number_unsigned() || code->get<std::uint64_t>() > 255)
    return fail(Code::kProtocol, "end record without outcome and code");
  auto named = outcome_from_name(outcome->get<std::string>());
  if (!named) return std::unexpected(named.error());
  EndRecord record;
  record.outcome = *named;
  read_fields(parsed, record);
  if (!is_id(record.key.job.text, 'j')) return fail(Code::kProtocol, "end record without a job");
  return record;
}

}  // namespace rexec::job
