// Accounts from files. See users.hpp.
#include "src/os/users.hpp"

#include <grp.h>
#include <pwd.h>
#include <shadow.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <functional>
#include <memory>

#include "src/base/text.hpp"

namespace rexec::os {
namespace {

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

File open_in(const AccountFiles& files, const char* name) {
  return File(std::fopen((files.directory + "/" + name).c_str(), "re"));
}

template <class T>
bool number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && !text.empty() && end == text.data() + text.size();
}

void add_group(User& user, gid_t gid) {
  if (std::find(user.groups.begin(), user.groups.end(), gid) == user.groups.end())
    user.groups.push_back(gid);
}

// A line of /etc/group may be long (thousands of members): the buffer grows on ERANGE.
void add_groups(const AccountFiles& files, User& user) {
  const File file = open_in(files, "group");
  if (!file) return;
  std::vector<char> buffer(4096);
  group entry{};
  group* found = nullptr;
  while (true) {
    const long at = std::ftell(file.get());
    const int error = ::fgetgrent_r(file.get(), &entry, buffer.data(), buffer.size(), &found);
    if (error == ERANGE && buffer.size() < (4u << 20)) {
      buffer.resize(buffer.size() * 4);
      std::fseek(file.get(), at, SEEK_SET);
      continue;
    }
    if (error != 0) return;
    for (char** member = entry.gr_mem; *member != nullptr; ++member)
      if (user.name == *member) add_group(user, entry.gr_gid);
  }
}

Result<std::optional<User>> find_if(const AccountFiles& files,
                                    const std::function<bool(const passwd&)>& wanted) {
  const File file = open_in(files, "passwd");
  if (!file) return fail_errno(files.directory + "/passwd", errno);
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  while (::fgetpwent_r(file.get(), &entry, buffer.data(), buffer.size(), &found) == 0) {
    if (!wanted(entry)) continue;
    User user{entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell, {}};
    add_group(user, user.gid);
    add_groups(files, user);
    return user;
  }
  return std::optional<User>{};
}

}  // namespace

Result<std::optional<User>> find_user(const AccountFiles& files, std::string_view name) {
  auto by_name = find_if(files, [&](const passwd& p) { return name == p.pw_name; });
  uid_t uid = 0;
  if (!by_name || *by_name || !number(name, uid)) return by_name;
  return find_user(files, uid);
}

Result<std::optional<User>> find_user(const AccountFiles& files, uid_t uid) {
  return find_if(files, [uid](const passwd& p) { return p.pw_uid == uid; });
}

Result<std::optional<gid_t>> find_group(const AccountFiles& files, std::string_view name) {
  const File file = open_in(files, "group");
  if (!file) return fail_errno(files.directory + "/group", errno);
  gid_t gid = 0;
  const bool numeric = number(name, gid);
  std::vector<char> buffer(1u << 20);
  group entry{};
  group* found = nullptr;
  while (::fgetgrent_r(file.get(), &entry, buffer.data(), buffer.size(), &found) == 0)
    if (name == entry.gr_name || (numeric && entry.gr_gid == gid)) return entry.gr_gid;
  return std::optional<gid_t>{};
}

AccountState account_state(const AccountFiles& files, std::string_view name, long today_days) {
  const File file = open_in(files, "shadow");
  if (!file) return AccountState::kUsable;
  std::vector<char> buffer(16384);
  spwd entry{};
  spwd* found = nullptr;
  while (::fgetspent_r(file.get(), &entry, buffer.data(), buffer.size(), &found) == 0) {
    if (name != entry.sp_namp) continue;
    if (entry.sp_expire > 0 && today_days >= entry.sp_expire) return AccountState::kExpired;
    const std::string_view password = entry.sp_pwdp;
    const std::size_t rest = password.find_first_not_of('!');
    if (password.starts_with('!') && rest != password.npos) return AccountState::kLocked;
    return AccountState::kUsable;
  }
  return AccountState::kUsable;
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
