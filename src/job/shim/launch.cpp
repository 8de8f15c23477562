// Resolving a spec into a plan, and the plan's bytes. See launch.hpp.
#include "src/job/shim/launch.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "src/job/ipc/codec.hpp"

namespace rexec::job {
namespace {

constexpr std::size_t kMaxField = kMaxSpecBytes + 65536;

template <class F, class P>
void shim_fields(F& f, P& p) {
  f.text(p.key.job.text, kMaxField);
  f.number(p.key.attempt);
  f.text(p.node, kMaxField);
  f.flag(p.attach);
  f.flag(p.forward_stdin);
  f.flag(p.tty);
  f.number(p.rows);
  f.number(p.cols);
  f.text(p.terminal_modes, kMaxField);
  f.number(p.timeout_ms);
  f.number(p.idle_timeout_ms);
  f.number(p.grace_ms);
  f.number(p.on_disconnect_ms);
  f.flag(p.sha256);
  f.flag(p.durable);
  f.flag(p.restarts);
  f.number(p.output_quota);
  f.number(p.cpu_milli);
  f.number(p.memory_bytes);
  f.number(p.pids);
  f.number(p.uid);
  f.flag(p.keeps_privileges);
  f.text(p.script_dir, kMaxField);
  f.text(p.script_name, kMaxField);
}

template <class F, class P>
void exec_fields(F& f, P& p) {
  f.flag(p.change_user);
  f.flag(p.keeps_privileges);
  f.number(p.uid);
  f.number(p.gid);
  f.text(p.workdir, kMaxField);
  f.flag(p.workdir_asked);
  f.texts(p.argv, kMaxField);
  f.texts(p.env, kMaxField);
  f.text(p.search_path, kMaxField);
  f.text(p.script, kMaxField);
  f.text(p.script_path, kMaxField);
  f.number(p.open_files);
}

void set(std::vector<std::string>& env, std::string_view name, std::string_view value) {
  std::string entry = std::string(name) + "=";
  const auto same = [&](const std::string& e) { return e.starts_with(entry); };
  const auto found = std::find_if(env.begin(), env.end(), same);
  const auto place = found == env.end() ? env.emplace(env.end()) : found;
  *place = entry.append(value);
}

std::string value_of(const std::vector<std::string>& env, std::string_view name) {
  const std::string entry = std::string(name) + "=";
  for (const auto& e : env)
    if (e.starts_with(entry)) return e.substr(entry.size());
  return {};
}

// What the node's clock shows to people: TZ as set, else the zone /etc/localtime points at.
std::string time_zone_of_node() {
  if (const char* zone = std::getenv("TZ"); zone != nullptr && *zone != '\0') return zone;
  char target[512];
  const ssize_t n = ::readlink("/etc/localtime", target, sizeof(target));
  const std::string_view path(target, n > 0 ? static_cast<std::size_t>(n) : 0);
  constexpr std::string_view kZones = "/zoneinfo/";
  const std::size_t at = path.find(kZones);
  if (at != path.npos) return std::string(path.substr(at + kZones.size()));
  return ::access("/etc/localtime", R_OK) == 0 ? ":/etc/localtime" : "UTC";
}

// A name that is safe in a path; what the client called its script is only for people.
std::string script_name(const JobSpec& spec) {
  std::string name = spec.argv.empty() ? "" : spec.argv[0];
  name = name.substr(name.rfind('/') == name.npos ? 0 : name.rfind('/') + 1);
  const auto odd = [](unsigned char c) {
    return std::isalnum(c) == 0 && c != '.' && c != '_' && c != '-';
  };
  std::replace_if(name.begin(), name.end(), odd, '_');
  if (name.empty() || name[0] == '.') name = "script";
  return name.substr(0, 64);
}

void plan_script(const JobSpec& spec, Launch& launch) {
  if (!spec.script) return;
  const AttemptKey& key = launch.shim.key;
  // Random, because /tmp is everybody's: nobody can be there first.
  launch.shim.script_dir = "/tmp/rexec-" + key.job.text + "." + std::to_string(key.attempt) + "-" +
                           random_id('s').substr(2);
  launch.shim.script_name = script_name(spec);
  launch.exec.script = *spec.script;
  launch.exec.script_path = launch.shim.script_dir + "/" + launch.shim.script_name;
  std::vector<std::string> argv;
  if (!spec.script->starts_with("#!")) argv.push_back("/bin/sh");
  argv.push_back(launch.exec.script_path);
  if (!spec.argv.empty()) argv.insert(argv.end(), spec.argv.begin() + 1, spec.argv.end());
  launch.exec.argv = std::move(argv);
}

}  // namespace

NodeDefaults node_defaults(std::string node) {
  NodeDefaults defaults;
  defaults.node = std::move(node);
  if (const char* lang = std::getenv("LANG"); lang != nullptr && *lang != '\0')
    defaults.lang = lang;
  defaults.time_zone = time_zone_of_node();
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) defaults.open_files = files.rlim_cur;
  return defaults;
}

std::vector<std::string> job_environment(const JobSpec& spec, const AttemptKey& key,
                                         const os::User& user, const NodeDefaults& defaults) {
  constexpr std::string_view kRootPath =
      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  constexpr std::string_view kUserPath = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games";
  std::vector<std::string> env;
  set(env, "PATH", user.uid == 0 ? kRootPath : kUserPath);
  set(env, "HOME", user.home.empty() ? "/" : user.home);
  set(env, "USER", user.name);
  set(env, "LOGNAME", user.name);
  set(env, "SHELL", user.shell.empty() ? "/bin/sh" : user.shell);
  set(env, "LANG", defaults.lang);
  set(env, "TZ", defaults.time_zone);
  if (spec.tty) set(env, "TERM", spec.tty->term);
  for (const auto& [name, value] : spec.env) set(env, name, value);
  // Last, whatever was asked for: they are how a job's processes are recognised.
  set(env, "REXEC_JOB", key.job.text);
  set(env, "REXEC_NODE", defaults.node);
  set(env, "REXEC_ATTEMPT", std::to_string(key.attempt));
  return env;
}

Launch plan_launch(const JobSpec& spec, const link::Start& start, const os::User& user,
                   const NodeDefaults& defaults) {
  Launch launch;
  ShimPlan& shim = launch.shim;
  shim.key = start.key;
  shim.node = defaults.node;
  shim.attach = start.attach;
  shim.forward_stdin = spec.forward_stdin;
  shim.tty = spec.tty.has_value();
  if (spec.tty) {
    shim.rows = spec.tty->rows, shim.cols = spec.tty->cols;
    shim.terminal_modes = spec.tty->modes;
  }
  shim.timeout_ms = spec.timeout_ms;
  shim.idle_timeout_ms = spec.idle_timeout_ms;
  shim.overflow = spec.overflow;
  shim.grace_ms = spec.grace_ms;
  shim.on_disconnect = spec.on_disconnect;
  shim.on_disconnect_ms = spec.on_disconnect_ms;
  shim.children = spec.children;
  shim.sha256 = spec.sha256;
  shim.durable = spec.durable;
  shim.restarts = spec.restart.when != Restart::kNo;
  shim.output_quota = spec.output_quota;
  shim.cpu_milli = spec.cpu_milli;
  shim.memory_bytes = spec.memory_bytes;
  shim.pids = spec.pids;
  shim.uid = user.uid;
  shim.keeps_privileges = spec.privileges == Privileges::kKeep;
  ExecPlan& exec = launch.exec;
  exec.keeps_privileges = shim.keeps_privileges;
  exec.change_user = ::geteuid() == 0;
  exec.uid = user.uid;
  exec.gid = user.gid;
  exec.groups.assign(user.groups.begin(), user.groups.end());
  exec.env = job_environment(spec, start.key, user, defaults);
  exec.search_path = value_of(exec.env, "PATH");
  exec.workdir_asked = !spec.workdir.empty();
  const std::string home = user.home.empty() ? "/" : user.home;
  exec.workdir = spec.workdir.empty()            ? home
                 : spec.workdir.starts_with('/') ? spec.workdir
                                                 : home + "/" + spec.workdir;
  exec.argv = spec.argv;
  exec.open_files = defaults.open_files;
  plan_script(spec, launch);
  return launch;
}

std::string encode_launch(const Launch& launch) {
  Writer shim, exec;
  shim_fields(shim, launch.shim);
  shim.number(static_cast<std::uint8_t>(launch.shim.on_disconnect));
  shim.number(static_cast<std::uint8_t>(launch.shim.children));
  shim.number(static_cast<std::uint8_t>(launch.shim.overflow));
  exec_fields(exec, launch.exec);
  exec.number(static_cast<std::uint32_t>(launch.exec.groups.size()));
  for (const std::uint32_t gid : launch.exec.groups) exec.number(gid);
  const std::string parts[] = {shim.take(), exec.take(), launch.meta, launch.spec};
  Writer header;
  for (const auto& part : parts) header.number(static_cast<std::uint64_t>(part.size()));
  std::string bytes = header.take();
  for (const auto& part : parts) bytes += part;
  return bytes;
}

LaunchParts launch_parts(ByteSpan header) {
  LaunchParts parts;
  Reader reader(header);
  reader.number(parts.shim_size);
  reader.number(parts.exec_size);
  reader.number(parts.meta_size);
  reader.number(parts.spec_size);
  parts.shim_at = kLaunchHeader;
  parts.exec_at = parts.shim_at + parts.shim_size;
  parts.meta_at = parts.exec_at + parts.exec_size;
  parts.spec_at = parts.meta_at + parts.meta_size;
  return parts;
}

bool decode_shim_plan(ByteSpan bytes, ShimPlan& plan) {
  Reader reader(bytes);
  shim_fields(reader, plan);
  std::uint8_t on_disconnect = 0, children = 0, overflow = 0;
  reader.number(on_disconnect);
  reader.number(children);
  reader.number(overflow);
  plan.overflow = static_cast<Overflow>(overflow);
  plan.on_disconnect = static_cast<OnDisconnect>(on_disconnect);
  plan.children = static_cast<Children>(children);
  return reader.finished();
}

bool decode_exec_plan(ByteSpan bytes, ExecPlan& plan) {
  Reader reader(bytes);
  exec_fields(reader, plan);
  std::uint32_t count = 0;
  reader.number(count);
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i)
    reader.number(plan.groups.emplace_back());
  return reader.finished();
}

}  // namespace rexec::job
