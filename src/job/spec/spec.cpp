// The job spec as MessagePack and what makes one acceptable. See spec.hpp.
#include "src/job/spec/spec.hpp"

#include <algorithm>

#include "src/base/text.hpp"
#include "src/os/terminal_modes.hpp"
#include "src/wire/maps.hpp"

namespace rexec::job {
namespace {

using wire::Map;

constexpr std::uint64_t kMaxMillis = 10ull * 366 * 86400 * 1000;
constexpr std::uint64_t kMinQuota = 1u << 20;
constexpr std::uint64_t kMaxQuota = 1ull << 40;
constexpr std::uint64_t kMaxNumber = (1ull << 53) - 1;

constexpr const char* kOnDisconnectNames[] = {"keep", "stop", "stop_after"};
constexpr const char* kChildrenNames[] = {"kill", "wait", "leave"};
constexpr const char* kRestartNames[] = {"no", "on_failure", "always"};
constexpr const char* kPrivilegesNames[] = {"drop", "keep"};
constexpr const char* kOverflowNames[] = {"spill", "block", "drop"};
constexpr std::uint64_t kMostRestarts = 1'000'000;

std::unexpected<Error> wrong(std::string_view key) {
  return fail(Code::kUsage, "job spec: bad value for " + std::string(key));
}

// The readers below leave `into` alone when the key is missing and say false on a wrong type.
bool read(const Map& map, const char* key, std::uint64_t& into, std::uint64_t highest) {
  const auto found = map.find(key);
  if (found == map.end()) return true;
  if (!found->is_number_unsigned() || found->get<std::uint64_t>() > highest) return false;
  into = found->get<std::uint64_t>();
  return true;
}

bool read(const Map& map, const char* key, bool& into) {
  const auto found = map.find(key);
  if (found == map.end()) return true;
  if (!found->is_boolean()) return false;
  into = found->get<bool>();
  return true;
}

bool take_bytes(const Map& value, std::string& into) {
  if (value.is_string()) {
    into = value.get_ref<const std::string&>();
    return true;
  }
  if (!value.is_binary()) return false;
  const auto& bytes = value.get_binary();
  into.assign(bytes.begin(), bytes.end());
  return true;
}

bool read(const Map& map, const char* key, std::string& into) {
  const auto found = map.find(key);
  return found == map.end() || take_bytes(*found, into);
}

bool read(const Map& map, const char* key, std::vector<std::string>& into) {
  const auto found = map.find(key);
  if (found == map.end()) return true;
  if (!found->is_array()) return false;
  for (const auto& item : *found)
    if (!take_bytes(item, into.emplace_back())) return false;
  return true;
}

template <class Enum, std::size_t N>
bool read(const Map& map, const char* key, Enum& into, const char* const (&names)[N]) {
  std::string name = names[static_cast<std::size_t>(into)];
  if (!read(map, key, name)) return false;
  const auto* found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) return false;
  into = static_cast<Enum>(found - std::begin(names));
  return true;
}

// [k1, v1, k2, v2, …]: shorter than pairs and kept in order.
bool read_env(const Map& map, JobSpec& spec) {
  std::vector<std::string> flat;
  if (!read(map, "env", flat) || flat.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < flat.size(); i += 2)
    spec.env.emplace_back(std::move(flat[i]), std::move(flat[i + 1]));
  return true;
}

bool read_tty(const Map& map, JobSpec& spec) {
  const auto found = map.find("tty");
  if (found == map.end() || found->is_null()) return true;
  if (!found->is_object()) return false;
  TtySpec tty;
  std::uint64_t rows = tty.rows, cols = tty.cols;
  if (!read(*found, "rows", rows, 65535) || !read(*found, "cols", cols, 65535)) return false;
  if (!read(*found, "term", tty.term) || !read(*found, "modes", tty.modes)) return false;
  tty.rows = static_cast<std::uint16_t>(rows);
  tty.cols = static_cast<std::uint16_t>(cols);
  spec.tty = tty;
  return true;
}

bool read_script(const Map& map, JobSpec& spec) {
  if (!map.contains("script") || map["script"].is_null()) return true;
  return read(map, "script", spec.script.emplace());
}

// The first key with a bad value, or null.
const char* read_all(const Map& map, JobSpec& spec) {
  if (!read(map, "argv", spec.argv)) return "argv";
  if (!read_env(map, spec)) return "env";
  if (!read(map, "workdir", spec.workdir)) return "workdir";
  if (!read(map, "user", spec.user)) return "user";
  if (!read(map, "group", spec.group)) return "group";
  if (!read(map, "stdin", spec.forward_stdin)) return "stdin";
  if (!read_tty(map, spec)) return "tty";
  if (!read(map, "timeout_ms", spec.timeout_ms, kMaxMillis)) return "timeout_ms";
  if (!read(map, "grace_ms", spec.grace_ms, kMaxMillis)) return "grace_ms";
  if (!read(map, "on_disconnect", spec.on_disconnect, kOnDisconnectNames)) return "on_disconnect";
  if (!read(map, "on_disconnect_ms", spec.on_disconnect_ms, kMaxMillis)) return "on_disconnect_ms";
  if (!read(map, "children", spec.children, kChildrenNames)) return "children";
  if (!read_script(map, spec)) return "script";
  if (!read(map, "sha256", spec.sha256)) return "sha256";
  if (!read(map, "durable", spec.durable)) return "durable";
  if (!read(map, "output_quota", spec.output_quota, kMaxQuota)) return "output_quota";
  if (!read(map, "cpu_milli", spec.cpu_milli, kMaxNumber)) return "cpu_milli";
  if (!read(map, "memory_bytes", spec.memory_bytes, kMaxNumber)) return "memory_bytes";
  if (!read(map, "pids", spec.pids, kMaxNumber)) return "pids";
  if (!read(map, "idle_timeout_ms", spec.idle_timeout_ms, kMaxMillis)) return "idle_timeout_ms";
  if (!read(map, "overflow", spec.overflow, kOverflowNames)) return "overflow";
  if (!read(map, "privileges", spec.privileges, kPrivilegesNames)) return "privileges";
  if (!read(map, "restart", spec.restart.when, kRestartNames)) return "restart";
  if (!read(map, "restart_most", spec.restart.most, kMostRestarts)) return "restart_most";
  return nullptr;
}

bool has_nul(std::string_view text) { return text.find('\0') != text.npos; }

bool good_name(std::string_view name) {
  return !name.empty() && name.find('=') == name.npos && !has_nul(name);
}

Map bins(const std::vector<std::string>& items) {
  Map list = Map::array();
  for (const auto& item : items) list.push_back(wire::bin(item));
  return list;
}

Map to_map(const JobSpec& spec) {
  std::vector<std::string> env;
  for (const auto& [name, value] : spec.env) {
    env.push_back(name);
    env.push_back(value);
  }
  Map map{{"argv", bins(spec.argv)},
          {"env", bins(env)},
          {"env_names", Map::array()},  // says nothing; without it the hash would be another
          {"workdir", wire::bin(spec.workdir)},
          {"user", wire::bin(spec.user)},
          {"group", wire::bin(spec.group)},
          {"stdin", spec.forward_stdin},
          {"timeout_ms", spec.timeout_ms},
          {"grace_ms", spec.grace_ms},
          {"on_disconnect", kOnDisconnectNames[static_cast<int>(spec.on_disconnect)]},
          {"on_disconnect_ms", spec.on_disconnect_ms},
          {"children", kChildrenNames[static_cast<int>(spec.children)]},
          {"sha256", spec.sha256},
          {"durable", spec.durable},
          {"output_quota", spec.output_quota},
          {"cpu_milli", spec.cpu_milli},
          {"memory_bytes", spec.memory_bytes},
          {"pids", spec.pids}};
  // Younger keys only where they say something: a spec's hash is the same for older clients.
  if (spec.idle_timeout_ms != 0) map["idle_timeout_ms"] = spec.idle_timeout_ms;
  if (spec.privileges != Privileges::kDrop)
    map["privileges"] = kPrivilegesNames[static_cast<int>(spec.privileges)];
  if (spec.overflow != Overflow::kSpill)
    map["overflow"] = kOverflowNames[static_cast<int>(spec.overflow)];
  if (spec.restart.when != Restart::kNo)
    map["restart"] = kRestartNames[static_cast<int>(spec.restart.when)];
  if (spec.restart.most != 0) map["restart_most"] = spec.restart.most;
  if (spec.script) map["script"] = wire::bin(*spec.script);
  if (spec.tty) {
    map["tty"] = Map{
        {"rows", spec.tty->rows}, {"cols", spec.tty->cols}, {"term", wire::bin(spec.tty->term)}};
    if (!spec.tty->modes.empty()) map["tty"]["modes"] = wire::bin(spec.tty->modes);
  }
  return map;
}

}  // namespace

Result<std::string> encode_spec(const JobSpec& spec) {
  if (auto valid = validate_spec(spec); !valid) return std::unexpected(valid.error());
  std::string bytes = wire::pack(to_map(spec));
  if (bytes.size() > kMaxSpecBytes)
    return fail(Code::kLimit, "the command, its environment and script are " +
                                  format_size(bytes.size()) + ", more than 4 MiB");
  return bytes;
}

Result<JobSpec> decode_spec(ByteSpan bytes) {
  if (bytes.size() > kMaxSpecBytes) return fail(Code::kLimit, "job spec larger than 4 MiB");
  auto map = wire::parse_map(bytes);
  if (!map) return fail(Code::kUsage, "job spec: " + map.error().message);
  JobSpec spec;
  if (const char* key = read_all(*map, spec)) return wrong(key);
  if (auto valid = validate_spec(spec); !valid) return std::unexpected(valid.error());
  return spec;
}

Result<void> validate_spec(const JobSpec& spec) {
  if (spec.argv.empty() && !spec.script) return fail(Code::kUsage, "no command");
  if (!spec.script && spec.argv[0].empty()) return fail(Code::kUsage, "the command is empty");
  if (std::any_of(spec.argv.begin(), spec.argv.end(), has_nul)) return wrong("argv: a NUL byte");
  for (const auto& [name, value] : spec.env)
    if (!good_name(name) || has_nul(value)) return wrong("env");
  if (has_nul(spec.workdir)) return wrong("workdir");
  if (has_nul(spec.user) || spec.user.size() > 256) return wrong("user");
  if (has_nul(spec.group) || spec.group.size() > 256) return wrong("group");
  if (spec.tty && (has_nul(spec.tty->term) || spec.tty->term.size() > 256)) return wrong("term");
  if (spec.tty && !os::are_terminal_modes(spec.tty->modes)) return wrong("terminal modes");
  if (spec.output_quota < kMinQuota || spec.output_quota > kMaxQuota) return wrong("output_quota");
  if (std::max({spec.timeout_ms, spec.grace_ms, spec.on_disconnect_ms}) > kMaxMillis)
    return fail(Code::kUsage, "job spec: a duration of more than ten years");
  if (spec.idle_timeout_ms > kMaxMillis) return wrong("idle_timeout_ms");
  if (spec.restart.most > kMostRestarts) return wrong("restart_most");
  if (spec.restart.when != Restart::kNo && (spec.forward_stdin || spec.tty))
    return fail(Code::kUsage, "a job that may be restarted takes no stdin and no terminal",
                "what an attempt has read is gone for the next one: leave out -i, -t or --restart");
  if (std::max({spec.cpu_milli, spec.memory_bytes, spec.pids}) > kMaxNumber) return wrong("limit");
  return {};
}

}  // namespace rexec::job
