// Who a certificate speaks for: one URI SAN `rexec://<cluster>/{controller,node,user}/<id>` and
// nothing else. Names never authorise; this does. Pure values; reading them out of a certificate is
// certificate.hpp.
#pragma once

#include <string>
#include <string_view>

#include "src/base/clock.hpp"
#include "src/base/error.hpp"

namespace rexec::pki {

enum class Role { kController, kNode, kUser };

// "controller", "node", "user".
std::string_view role_name(Role role);
// 'c', 'n', 'u': the prefix that ids of this role have (src/base/ids.hpp).
char role_id_prefix(Role role);
Result<Role> parse_role(std::string_view name);

struct Identity {
  Role role = Role::kUser;
  std::string cluster;
  std::string id;      // n-…, u-… or c-…
  std::string serial;  // lower-case hex, the key of revocation
  WallTime not_before;
  WallTime not_after;
};

std::string identity_uri(Role role, std::string_view cluster, std::string_view id);
// role, cluster and id of a URI. kDenied for a NUL, a wildcard, a foreign scheme, more than 1 KiB,
// an id that is not one of that role's: anything that is not exactly the canonical text (FAULTS
// L16).
Result<Identity> parse_identity_uri(std::string_view uri);

}  // namespace rexec::pki
