// Accounts from files. See users.hpp.
#include "src/os/users.hpp"

#include <algorithm>
#include <charconv>
#include <functional>

#include "src/base/file.hpp"
#include "src/base/text.hpp"

namespace rexec::os {
namespace {

constexpr std::size_t kMaxAccountFile = 64u << 20;
constexpr uid_t kFirstPerson = 1000;
constexpr uid_t kFirstDynamic = 61184, kLast16Bit = 65535;

template <class T>
bool number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && !text.empty() && end == text.data() + text.size();
}

using Line = std::function<bool(std::string_view)>;

// Until `each` says true. Read whole: glibc's line functions seek twice for each line.
Result<void> for_lines(const AccountFiles& files, const char* name, const Line& each) {
  const auto text = read_file(files.directory + "/" + name, kMaxAccountFile);
  if (!text) return std::unexpected(text.error());
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (each(rest.substr(0, end))) return {};
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

std::string_view next_field(std::string_view& line, char at) {
  const std::size_t end = std::min(line.find(at), line.size());
  const std::string_view field = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return field;
}

struct GroupLine {
  std::string_view name;
  gid_t gid = 0;
  std::string_view members;
};
// name:password:gid:member,member
std::optional<GroupLine> parse_group(std::string_view line) {
  GroupLine group;
  group.name = next_field(line, ':');
  next_field(line, ':');
  if (group.name.empty() || !number(next_field(line, ':'), group.gid)) return std::nullopt;
  group.members = line;
  return group;
}

void add_group(User& user, gid_t gid) {
  if (std::find(user.groups.begin(), user.groups.end(), gid) == user.groups.end())
    user.groups.push_back(gid);
}

void add_groups(const AccountFiles& files, User& user) {
  (void)for_lines(files, "group", [&](std::string_view line) {
    auto group = parse_group(line);
    while (group && !group->members.empty())
      if (next_field(group->members, ',') == user.name) add_group(user, group->gid);
    return false;
  });
}

Result<std::optional<User>> find_if(const AccountFiles& files,
                                    const std::function<bool(const User&)>& wanted) {
  std::optional<User> found;
  auto read = for_lines(files, "passwd", [&](std::string_view line) {
    auto user = parse_getent_passwd(line);
    if (!user || !wanted(*user)) return false;
    found = std::move(user);
    return true;
  });
  if (!read) return std::unexpected(read.error());
  if (found) add_groups(files, *found);
  return found;
}

}  // namespace

Result<std::optional<User>> find_user(const AccountFiles& files, std::string_view name) {
  auto by_name = find_if(files, [&](const User& user) { return user.name == name; });
  uid_t uid = 0;
  if (!by_name || *by_name || !number(name, uid)) return by_name;
  return find_user(files, uid);
}

Result<std::optional<User>> find_user(const AccountFiles& files, uid_t uid) {
  return find_if(files, [uid](const User& user) { return user.uid == uid; });
}

Result<std::optional<gid_t>> find_group(const AccountFiles& files, std::string_view name) {
  gid_t wanted = 0;
  const bool numeric = number(name, wanted);
  std::optional<gid_t> found;
  auto read = for_lines(files, "group", [&](std::string_view line) {
    const auto group = parse_group(line);
    if (!group || (group->name != name && !(numeric && group->gid == wanted))) return false;
    found = group->gid;
    return true;
  });
  if (!read) return std::unexpected(read.error());
  return found;
}

bool is_system_account(const AccountFiles& files, uid_t uid) {
  uid_t first_person = kFirstPerson;
  (void)for_lines(files, "login.defs", [&](std::string_view line) {
    constexpr std::string_view kKey = "UID_MIN";
    if (!line.starts_with(kKey)) return false;
    line.remove_prefix(kKey.size());
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == 0 || begin == line.npos) return false;
    line.remove_prefix(begin);
    return number(line.substr(0, line.find_first_of(" \t\r#")), first_person);
  });
  return uid < first_person || (uid >= kFirstDynamic && uid <= kLast16Bit);
}

AccountState account_state(const AccountFiles& files, std::string_view name, long today_days) {
  AccountState state = AccountState::kUsable;
  (void)for_lines(files, "shadow", [&](std::string_view line) {
    if (next_field(line, ':') != name) return false;
    const std::string_view password = next_field(line, ':');
    for (int skipped = 0; skipped < 5; ++skipped) next_field(line, ':');
    long expires = 0;
    if (number(next_field(line, ':'), expires) && expires > 0 && today_days >= expires)
      state = AccountState::kExpired;
    else if (password.starts_with('!') && password.find_first_not_of('!') != password.npos)
      state = AccountState::kLocked;
    return true;
  });
  return state;
}

std::optional<User> parse_getent_passwd(std::string_view line) {
  line = line.substr(0, line.find('\n'));
  const auto fields = split(line, ':');
  User user;
  if (fields.size() != 7 || fields[0].empty()) return std::nullopt;
  if (!number(fields[2], user.uid) || !number(fields[3], user.gid)) return std::nullopt;
  user.name = fields[0];
  user.home = fields[5];
  user.shell = fields[6];
  add_group(user, user.gid);
  return user;
}

void parse_getent_initgroups(std::string_view line, User& user) {
  const auto fields = split(line.substr(0, line.find('\n')), ' ');
  for (std::size_t i = 1; i < fields.size(); ++i) {
    gid_t gid = 0;
    if (number(fields[i], gid)) add_group(user, gid);
  }
}

}  // namespace rexec::os
