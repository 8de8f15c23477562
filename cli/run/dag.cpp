// A DAG file: a TOML table for each job, whose keys are `target`, `cmd`, `after` and the flags of
// submit. Each table becomes the words of a command line and goes the way of those, so that a key
// means what its flag means. Cycles are refused here, with the way round shown.
#include <algorithm>
#include <deque>
#include <map>

#include "cli/run/run_flags.hpp"
#include "src/base/config.hpp"
#include "src/base/ids.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

constexpr std::size_t kMostJobs = 1000;
// Flags that are about the one who submits, not about the job.
constexpr std::string_view kNotHere[] = {"status-file", "status-fd",      "idempotency-key",
                                         "no-prefix",   "timestamps",     "exit",
                                         "reconnect",   "connect-timeout"};

struct Table {
  std::string name;
  std::uint32_t line = 0;  // of its first key
  std::string target;
  std::vector<std::string> command;
  std::vector<client::AfterWish> after;
  std::deque<std::string> flags;  // as words; Args keeps views of them
};

std::string place(const std::string& path, std::uint32_t line, const std::string& name) {
  return printable(path) + ":" + std::to_string(line) + ": [" + printable(name) + "] ";
}

std::vector<std::string> known_keys() {
  std::vector<std::string> keys{"target", "cmd", "after"};
  for (const Flag& flag : kSubmitFlags) {
    const bool is_here = flag.standing == Standing::kHere && flag.name != "after";
    if (is_here && std::ranges::find(kNotHere, flag.name) == std::end(kNotHere))
      keys.emplace_back(flag.name);
  }
  return keys;
}

bool has_nul(const ConfigEntry& entry) {
  const auto in = [](const std::string& text) { return text.find('\0') != text.npos; };
  if (const auto* text = std::get_if<std::string>(&entry.value)) return in(*text);
  const auto* list = std::get_if<std::vector<std::string>>(&entry.value);
  return list != nullptr && std::ranges::any_of(*list, in);
}

struct Reader {
  const std::string& path;
  std::map<std::string, Table> tables;

  std::unexpected<Error> wrong(const Table& table, std::uint32_t line, const std::string& why,
                               const std::string& hint = {}) const {
    return fail(Code::kUsage, place(path, line, table.name) + why, hint);
  }

  Result<std::vector<std::string>> texts(const Table& table, const std::string& key,
                                         const ConfigEntry& entry) const {
    if (const auto* list = std::get_if<std::vector<std::string>>(&entry.value)) return *list;
    if (const auto* text = std::get_if<std::string>(&entry.value); text && key == "after")
      return std::vector<std::string>{*text};
    return wrong(table, entry.line, key + " is a list of strings",
                 key == "cmd" ? "write cmd = [\"make\", \"test\"], or sh = \"make test\"" : "");
  }

  Result<void> take_after(Table& table, const ConfigEntry& entry) const {
    const auto names = texts(table, "after", entry);
    if (!names) return std::unexpected(names.error());
    for (const std::string& text : *names) {
      const auto colon = text.find(':');
      const std::string when = colon == std::string::npos ? "ok" : text.substr(colon + 1);
      if (when != "ok" && when != "any" && when != "fail")
        return wrong(table, entry.line,
                     "after \"" + printable(text) + "\" does not end in :ok, :any or :fail");
      table.after.push_back({text.substr(0, colon), when});
    }
    return {};
  }

  Result<void> take_flag(Table& table, const std::string& key, const ConfigEntry& entry) const {
    const std::string flag = "--" + key;
    if (const auto* on = std::get_if<bool>(&entry.value)) {
      if (*on) table.flags.push_back(flag);
      return {};
    }
    if (const auto* number = std::get_if<std::int64_t>(&entry.value))
      table.flags.push_back(flag + "=" + std::to_string(*number));
    else if (const auto* text = std::get_if<std::string>(&entry.value))
      table.flags.push_back(flag + "=" + *text);
    else if (const auto* list = std::get_if<std::vector<std::string>>(&entry.value))
      for (const std::string& one : *list) table.flags.push_back(flag + "=" + one);
    else
      return wrong(table, entry.line, key + " is a fraction: write it as a string");
    return {};
  }

  Result<void> take(const std::string& whole, const ConfigEntry& entry) {
    const auto dot = whole.find('.');
    const std::string name = whole.substr(0, dot);
    Table& table = tables[name];
    if (table.name.empty() || entry.line < table.line) table.line = entry.line;
    table.name = name;
    if (dot == std::string::npos)
      return fail(Code::kUsage,
                  printable(path) + ":" + std::to_string(entry.line) + ": \"" + printable(name) +
                      "\" stands outside of a job's table",
                  "begin each job with a line [NAME]");
    if (auto good = check_name("job", name); !good)
      return wrong(table, entry.line, good.error().message);
    const std::string key = whole.substr(dot + 1);
    if (has_nul(entry)) return wrong(table, entry.line, key + " has a NUL byte, no argument can");
    if (key == "target") {
      const auto* text = std::get_if<std::string>(&entry.value);
      if (text == nullptr) return wrong(table, entry.line, "target is a string");
      table.target = *text;
      return {};
    }
    if (key == "cmd") {
      auto words = texts(table, key, entry);
      if (!words) return std::unexpected(words.error());
      table.command = std::move(*words);
      return {};
    }
    if (key == "after") return take_after(table, entry);
    const std::vector<std::string> keys = known_keys();
    if (std::ranges::find(kNotHere, key) != std::end(kNotHere))
      return wrong(table, entry.line, key + " is about who submits, not about one job");
    if (std::ranges::find(keys, key) == keys.end())
      return wrong(table, entry.line, "unknown key \"" + printable(key) + "\"",
                   did_you_mean(key, keys));
    return take_flag(table, key, entry);
  }

  // The words of `submit` that would say the same.
  Result<client::DagJob> make(const Table& table) const {
    if (table.target.empty())
      return wrong(table, table.line, "names no target", "write target = \"node42\"");
    std::vector<const char*> argv;
    for (const std::string& flag : table.flags) argv.push_back(flag.c_str());
    argv.push_back(table.target.c_str());
    argv.push_back("--");
    for (const std::string& word : table.command) argv.push_back(word.c_str());
    const Grammar grammar{{}, kSubmitFlags, Words::kCommand, "rexec submit --help"};
    const Result<Args> args = parse_flags(grammar, argv);
    if (!args) return wrong(table, table.line, args.error().message, args.error().hint);
    FollowOptions options;
    const Result<void> read =
        read_run({submit_verb, "submit", *args, Globals{}}, Manner::kDetached, options);
    if (!read) return wrong(table, table.line, read.error().message, read.error().hint);
    client::DagJob job{table.name, table.target, options.plan.spec, options.plan.waits};
    job.waits.after = table.after;
    return job;
  }
};

// Depth first, in the order of the file; `way` is the path to where it is.
struct Sorter {
  const Reader& reader;
  std::vector<std::string> order;
  std::map<std::string, int> seen;  // 1: on the way, 2: done
  std::vector<std::string> way;

  Result<void> visit(const Table& table) {
    int& mark = seen[table.name];
    if (mark == 2) return {};
    way.push_back(table.name);
    if (mark == 1) return cycle(table);
    mark = 1;
    for (const auto& after : table.after) {
      const auto other = reader.tables.find(after.job);
      if (other == reader.tables.end()) return unknown(table, after.job);
      if (auto good = visit(other->second); !good) return good;
    }
    seen[table.name] = 2;
    way.pop_back();
    order.push_back(table.name);
    return {};
  }

  Result<void> cycle(const Table& table) const {
    std::string shown;
    for (auto at = std::ranges::find(way, table.name); at != way.end(); ++at)
      shown += (shown.empty() ? "" : " → ") + printable(*at);
    return reader.wrong(table, table.line, "waits for itself: " + shown,
                        "each arrow is an `after`: take one of them out");
  }

  Result<void> unknown(const Table& table, const std::string& name) const {
    std::vector<std::string> names;
    for (const auto& [known, other] : reader.tables) names.push_back(known);
    return reader.wrong(table, table.line,
                        "is after \"" + printable(name) + "\", which is no job of this file",
                        did_you_mean(name, names));
  }
};

}  // namespace

Result<std::vector<client::DagJob>> read_dag(const std::string& file) {
  const std::string path = file == "-" ? "/dev/stdin" : file;
  const Result<ConfigMap> map = read_config(path);
  if (!map) return std::unexpected(map.error());
  return plan_dag(*map, path);
}

Result<std::vector<client::DagJob>> plan_dag(const ConfigMap& map, const std::string& path) {
  Reader reader{path, {}};
  for (const auto& [key, entry] : map)
    if (auto taken = reader.take(key, entry); !taken) return std::unexpected(taken.error());
  if (reader.tables.empty())
    return fail(Code::kUsage, printable(path) + " has no jobs",
                "a job: [build], then target = \"node42\" and cmd = [\"make\"]");
  if (reader.tables.size() > kMostJobs)
    return fail(Code::kLimit, printable(path) + " has more than " + std::to_string(kMostJobs) +
                                  " jobs, the limit");
  std::vector<const Table*> in_file;
  for (const auto& [name, table] : reader.tables) in_file.push_back(&table);
  std::ranges::sort(in_file, {}, [](const Table* table) { return table->line; });
  Sorter sorter{reader, {}, {}, {}};
  for (const Table* table : in_file)
    if (auto sorted = sorter.visit(*table); !sorted) return std::unexpected(sorted.error());
  std::vector<client::DagJob> jobs;
  for (const std::string& name : sorter.order) {
    auto job = reader.make(reader.tables.at(name));
    if (!job) return std::unexpected(job.error());
    jobs.push_back(std::move(*job));
  }
  return jobs;
}

}  // namespace rexec::cli
