// See account.hpp.
#include "src/controller/server/account.hpp"

#include <unistd.h>

#include "src/base/log.hpp"
#include "src/net/address.hpp"
#include "src/os/privilege.hpp"
#include "src/os/seccomp.hpp"

namespace rexec::controller {
namespace {

constexpr std::uint16_t kFirstFreePort = 1024;

const os::User& root() {
  static const os::User user{"root", 0, 0, "/", "", {0}};
  return user;
}

os::Keep kept_for(const std::string& listen) {
  const auto parts = net::split_address(listen);
  return parts && parts->second < kFirstFreePort ? os::Keep::kLowPorts : os::Keep::kNothing;
}

// Whom it becomes; nullopt where it stays what it is, which was said.
std::optional<os::User> choose(const std::string& data_dir) {
  auto user = os::daemon_account(data_dir);
  if (user && os::can_reach(*user, data_dir)) return user;
  log_warn(
      "the controller runs as root, without capabilities",
      {{"why",
        user ? "the user " + user->name + " cannot reach " + data_dir : "there is no user rexec"},
       {"mend", user ? "chmod o+x the directories above it" : "adduser --system --group rexec"}});
  return std::nullopt;
}

}  // namespace

Result<void> give_to_account(const std::string& data_dir) {
  const auto user = os::daemon_account(data_dir);
  if (!user || !os::can_reach(*user, data_dir)) return {};
  return os::give_directory(data_dir, *user);
}

Result<void> leave_root(const std::string& data_dir, const std::string& listen) {
  if (::geteuid() != 0) return {};
  const auto user = choose(data_dir);
  // Root without capabilities has no more right to another's files than anybody else.
  if (auto given = os::give_directory(data_dir, user.value_or(root())); !given) return given;
  const os::Keep kept = kept_for(listen);
  if (user) return os::become(*user, kept);
  os::drop_capabilities(kept);
  return {};
}

void finish_confinement() {
  os::drop_capabilities();
  if (os::confine_to_network() == os::Confined::kYes) return;
  log_warn("the controller runs without a filter of system calls",
           {{"why", "this kernel or emulator has no seccomp"}});
}

}  // namespace rexec::controller
