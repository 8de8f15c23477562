#include "src/job/spec/record_map.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "src/base/cut_text.hpp"
#include "src/base/text.hpp"

namespace rexec::job {
namespace {

using wire::Map;

enum class Kind {
  kSignal,
  kFlag,
  kCount,
  kTime,
  kSeconds,
  kWord,
  kWords,
  kCounts,
  kXxh128,
  kSha256
};

struct Field {
  const char* name;
  Kind kind;
};
constexpr std::array<Field, 15> kFields{{
    {"signal", Kind::kSignal},
    {"oom", Kind::kFlag},
    {"bytes", Kind::kCounts},
    {"xxh128", Kind::kXxh128},
    {"sha256", Kind::kSha256},
    {"complete", Kind::kFlag},
    {"reason", Kind::kWord},
    {"message", Kind::kWords},
    {"wall_s", Kind::kSeconds},
    {"cpu_s", Kind::kSeconds},
    {"max_rss", Kind::kCount},
    {"left_behind", Kind::kCount},
    {"dropped", Kind::kCounts},
    {"started_ms", Kind::kTime},
    {"ended_ms", Kind::kTime},
}};

constexpr std::uint64_t kMostCode = 255;
constexpr std::uint64_t kMostSignal = 64;
constexpr std::uint64_t kMostCount = (1ULL << 53) - 1;  // what every JSON reader holds exactly
constexpr std::uint64_t kLastMs = 253'402'300'799'000;  // of the year 9999
constexpr double kMostSeconds = 1e10;                   // 300 years, of one CPU or of many
constexpr std::size_t kMostWord = 64;
constexpr std::size_t kMostWords = 2 << 10;
constexpr std::uint64_t kMostAttempt = 1'000'000;

std::uint64_t number(const Map& value, std::uint64_t most) {
  if (!value.is_number_unsigned()) return 0;
  const auto read = value.get<std::uint64_t>();
  return read <= most ? read : 0;
}

double seconds(const Map& value) {
  const double read = value.is_number() ? value.get<double>() : 0.0;
  return std::isfinite(read) && read >= 0 && read <= kMostSeconds ? read : 0.0;
}

std::string words(const Map& value, std::size_t most) {
  if (!value.is_string()) return {};
  const std::string shown = printable(cut_text(value.get_ref<const std::string&>(), most));
  return std::string(cut_text(shown, most));
}

std::string hex(const Map& value, std::size_t digits) {
  if (!value.is_string()) return {};
  const auto& text = value.get_ref<const std::string&>();
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == digits && std::ranges::all_of(text, is_hex) ? text : std::string();
}

template <class Read>
Map of_both(const Map& value, Read read) {
  Map out = Map::object();
  for (const char* side : {"out", "err"}) {
    const bool is_there = value.is_object() && value.contains(side);
    out[side] = read(is_there ? value[side] : Map(nullptr));
  }
  return out;
}

Map bounded(const Map& value, Kind kind) {
  switch (kind) {
    case Kind::kSignal: {
      const std::uint64_t signal = number(value, kMostSignal);
      return signal == 0 ? Map(nullptr) : Map(signal);
    }
    case Kind::kFlag:
      return value.is_boolean() && value.get<bool>();
    case Kind::kCount:
      return number(value, kMostCount);
    case Kind::kTime:
      return number(value, kLastMs);
    case Kind::kSeconds:
      return seconds(value);
    case Kind::kWord:
      return words(value, kMostWord);
    case Kind::kWords:
      return words(value, kMostWords);
    case Kind::kCounts:
      return of_both(value, [](const Map& one) { return number(one, kMostCount); });
    case Kind::kXxh128:
      return of_both(value, [](const Map& one) { return hex(one, 32); });
    case Kind::kSha256:
      return of_both(value, [](const Map& one) { return hex(one, 64); });
  }
  return nullptr;
}

bool is_usable(const Map& said) {
  return outcome_from_name(wire::text_or(said, "outcome")) &&
         wire::get_u64(said, "code", kMostCode);
}

}  // namespace

wire::Map bounded_record(const wire::Map& said, const KnownAttempt& known) {
  Map record = Map::object();
  if (said.is_object())
    for (const Field& field : kFields)
      if (const auto at = said.find(field.name); at != said.end())
        record[field.name] = bounded(*at, field.kind);
  record["node"] = known.node;
  record["job"] = known.key.job.text;
  if (said.is_object() && said.contains("attempt"))
    record["attempt"] = std::min<std::uint64_t>(known.key.attempt, kMostAttempt);
  if (is_usable(said)) {
    record["outcome"] = said["outcome"];
    record["code"] = said["code"];
    return record;
  }
  record["outcome"] = outcome_name(Outcome::kLost);
  record["code"] = 121;
  record["complete"] = false;
  record["reason"] = "unreadable";
  return record;
}

wire::Map given_up_map(GivenUp why, std::uint64_t ms) {
  if (why == GivenUp::kNot) return nullptr;
  return {{"why", given_up_name(why)}, {"ms", ms}};
}

wire::Map bounded_given_up(const wire::Map& said) {
  if (!said.is_object()) return nullptr;
  const auto ms = said.find("ms");
  return given_up_map(given_up_from_name(wire::text_or(said, "why")),
                      ms == said.end() ? 0 : number(*ms, kLastMs));
}

}  // namespace rexec::job
