// See privilege.hpp.
#include "src/os/privilege.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "src/os/fd.hpp"

namespace rexec::os {
namespace {

constexpr int kDepth = 4;  // more than any data directory has
constexpr int kMostCapabilities = 64;
constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// All three sets of the calling thread.
bool set_capabilities(Keep keep) {
  const std::uint32_t low = keep == Keep::kLowPorts ? 1u << CAP_NET_BIND_SERVICE : 0;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {{low, low, 0}, {0, 0, 0}};
  return ::syscall(SYS_capset, &header, data) == 0;
}

Result<void> give_one(int fd, const User& user, const std::string& path) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return fail_errno(path, errno);
  if (info.st_uid == user.uid) return {};
  // A second name may be another's file, put here for us to give away.
  if (!S_ISDIR(info.st_mode) && info.st_nlink != 1) return {};
  if (::fchown(fd, user.uid, user.gid) != 0)
    return fail_errno("cannot give " + path + " to " + user.name, errno);
  return {};
}

Result<void> give_below(UniqueFd directory, const User& user, const std::string& path, int depth) {
  DIR* names = ::fdopendir(directory.get());
  if (names == nullptr) return fail_errno(path, errno);
  directory.release();
  Result<void> done;
  while (const dirent* entry = done ? ::readdir(names) : nullptr) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat info{};
    if (::fstatat(::dirfd(names), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) continue;
    const int flags =
        S_ISDIR(info.st_mode) ? kDirectory : O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    UniqueFd fd(::openat(::dirfd(names), entry->d_name, flags));
    if (!fd) continue;  // gone, or another thing by now
    const std::string below = path + "/" + name;
    done = give_one(fd.get(), user, below);
    if (done && S_ISDIR(info.st_mode) && depth > 0)
      done = give_below(std::move(fd), user, below, depth - 1);
  }
  ::closedir(names);
  return done;
}

}  // namespace

std::optional<User> daemon_account(const std::string& data_dir) {
  if (::geteuid() != 0) return std::nullopt;
  if (auto own = find_user({}, kDaemonUser); own && *own) return *own;
  struct stat info{};
  if (::stat(data_dir.c_str(), &info) != 0 || info.st_uid == 0) return std::nullopt;
  if (auto owner = find_user({}, info.st_uid); owner && *owner) return *owner;
  // An owner without an entry, as in containers.
  return User{std::to_string(info.st_uid), info.st_uid, info.st_gid, "/", "", {info.st_gid}};
}

Result<void> give_directory(const std::string& path, const User& user) {
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_errno(path, errno);
  if (auto given = give_one(directory.get(), user, path); !given) return given;
  return give_below(std::move(directory), user, path, kDepth);
}

bool can_reach(const User& user, const std::string& path) {
  std::error_code error;
  const auto whole = std::filesystem::canonical(path, error);
  if (error) return false;
  std::vector<gid_t> before(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
  const int count = ::getgroups(static_cast<int>(before.size()), before.data());
  if (count < 0 || ::setgroups(user.groups.size(), user.groups.data()) != 0) return false;
  const gid_t group = ::getegid();
  bool may_pass = ::setegid(user.gid) == 0 && ::seteuid(user.uid) == 0;
  may_pass = may_pass && ::faccessat(AT_FDCWD, whole.parent_path().c_str(), X_OK, AT_EACCESS) == 0;
  // Back again; whoever cannot get back must not go on as somebody else.
  if (::seteuid(0) != 0 || ::setegid(group) != 0 ||
      ::setgroups(static_cast<std::size_t>(count), before.data()) != 0)
    ::_exit(1);
  return may_pass;
}

void empty_bounding_set() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int capability = 0; capability < kMostCapabilities; ++capability)
    ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

// The calls of that name on 32-bit machines take ids of 16 bits.
#ifdef SYS_setresuid32
constexpr long kSetGroups = SYS_setgroups32;
constexpr long kSetGroup = SYS_setresgid32;
constexpr long kSetUser = SYS_setresuid32;
#else
constexpr long kSetGroups = SYS_setgroups;
constexpr long kSetGroup = SYS_setresgid;
constexpr long kSetUser = SYS_setresuid;
#endif

const char* set_ids(uid_t uid, gid_t gid, std::span<const gid_t> groups) {
  if (::syscall(kSetGroups, groups.size(), groups.data()) != 0) return "setgroups";
  if (::syscall(kSetGroup, gid, gid, gid) != 0) return "setresgid";
  if (::syscall(kSetUser, uid, uid, uid) != 0) return "setresuid";
  return nullptr;
}

Result<void> become(const User& user, Keep keep) {
  const auto failed = [&](const char* step) {
    return fail_errno(std::string(step) + " to the user " + user.name, errno);
  };
  empty_bounding_set();
  if (keep == Keep::kLowPorts) ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  if (const char* step = set_ids(user.uid, user.gid, user.groups)) return failed(step);
  if (!set_capabilities(keep)) return failed("capset");
  if (keep == Keep::kLowPorts) ::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
  return {};
}

void drop_capabilities(Keep keep) {
  empty_bounding_set();
  set_capabilities(keep);
}

void hide_memory() { ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

void harden() {
  hide_memory();
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
}

}  // namespace rexec::os
