// Accounts from /etc/passwd, /etc/group and /etc/shadow, read as files: no NSS, nothing is loaded
// into a static binary. Accounts of directory services come from `getent`, run as a child by the
// spawner, whose output parse_getent_* read.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.hpp"

namespace rexec::os {

struct User {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
  std::string shell;
  std::vector<gid_t> groups;  // supplementary and primary, as initgroups(3) would set them
};

// The account of rexec's own processes that speak to the network. It owns their keys.
inline constexpr const char* kDaemonUser = "rexec";

// Directory of passwd, group and shadow; tests use their own.
struct AccountFiles {
  std::string directory = "/etc";
};

// By name, or by number when the text is all digits; nullopt when the files have no such account.
Result<std::optional<User>> find_user(const AccountFiles& files, std::string_view name);
Result<std::optional<User>> find_user(const AccountFiles& files, uid_t uid);
Result<std::optional<gid_t>> find_group(const AccountFiles& files, std::string_view name);

// An account of services, which owns files of the system and is nobody's to log in with: below
// UID_MIN of login.defs (1000 without it), or in the ranges that systemd and Debian keep beyond the
// people's (dynamic users 61184 to 65519, nobody 65534).
bool is_system_account(const AccountFiles& files, uid_t uid);

enum class AccountState { kUsable, kLocked, kExpired };
// From shadow: locked is a '!' in front of something (usermod -L), expired is a past expiry date.
// "!" or "*" alone only means that there is no password, as for service accounts. An unreadable
// shadow file: kUsable (only root asks).
AccountState account_state(const AccountFiles& files, std::string_view name, long today_days);

// One line of `getent passwd NAME`; groups hold the primary one only.
std::optional<User> parse_getent_passwd(std::string_view line);
// "name 10 20 30" of `getent initgroups NAME`, added to user.groups.
void parse_getent_initgroups(std::string_view line, User& user);

}  // namespace rexec::os
