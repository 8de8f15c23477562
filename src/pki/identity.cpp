// See identity.hpp.
#include "src/pki/identity.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "src/base/check.hpp"
#include "src/base/ids.hpp"
#include "src/base/text.hpp"

namespace rexec::pki {
namespace {

constexpr std::string_view kScheme = "rexec://";
constexpr std::size_t kMaxUri = 1024;

struct RoleInfo {
  Role role;
  std::string_view name;
  char prefix;
};
constexpr std::array<RoleInfo, 3> kRoles = {{
    {Role::kController, "controller", 'c'},
    {Role::kNode, "node", 'n'},
    {Role::kUser, "user", 'u'},
}};

const RoleInfo& role_info(Role role) {
  const auto* found = std::ranges::find(kRoles, role, &RoleInfo::role);
  check(found != kRoles.end(), "a role is one of three");
  return *found;
}

std::unexpected<Error> refused(std::string why) {
  return fail(Code::kDenied, "the certificate names no rexec identity: " + std::move(why));
}

}  // namespace

std::string_view role_name(Role role) { return role_info(role).name; }
char role_id_prefix(Role role) { return role_info(role).prefix; }

Result<Role> parse_role(std::string_view name) {
  const auto* found = std::ranges::find(kRoles, name, &RoleInfo::name);
  if (found == kRoles.end()) {
    return fail(Code::kDenied, "\"" + printable(name.substr(0, 64)) + "\" is not a role");
  }
  return found->role;
}

std::string identity_uri(Role role, std::string_view cluster, std::string_view id) {
  std::string uri(kScheme);
  uri.append(cluster).append("/").append(role_name(role)).append("/").append(id);
  return uri;
}

Result<Identity> parse_identity_uri(std::string_view uri) {
  if (uri.size() > kMaxUri) return refused("its URI is longer than 1 KiB");
  if (!uri.starts_with(kScheme)) return refused("not a rexec:// URI");
  const auto parts = split(uri.substr(kScheme.size()), '/');
  if (parts.size() != 3) return refused("not rexec://CLUSTER/ROLE/ID");
  // check_name and is_id allow neither NUL nor wildcard nor anything that needs escaping.
  if (!check_name("cluster", parts[0])) return refused("a bad cluster name");
  const auto role = parse_role(parts[1]);
  if (!role) return refused(role.error().message);
  if (!is_id(parts[2], role_id_prefix(*role))) return refused("an id that is not of its role");
  Identity identity;
  identity.role = *role;
  identity.cluster = parts[0];
  identity.id = parts[2];
  return identity;
}

}  // namespace rexec::pki
