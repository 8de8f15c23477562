// See host_name.hpp. Called by join alone; whether the name is free is the controller's to say.
#include "cli/enrol/host_name.hpp"

#include <unistd.h>

namespace rexec::cli {
namespace {

constexpr std::size_t kMaxName = 63;  // check_name's

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

std::string name_from_host(std::string_view host) {
  std::string name;
  for (char c : host.substr(0, host.find('.'))) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool is_fit = is_alphanumeric(c) || c == '-' || c == '_';
    if (name.empty() && !is_alphanumeric(c)) continue;
    name += is_fit ? c : '-';
    if (name.size() == kMaxName) break;
  }
  while (!name.empty() && !is_alphanumeric(name.back())) name.pop_back();
  return name;
}

std::string host_as_name() {
  char host[256] = {};
  return ::gethostname(host, sizeof host - 1) == 0 ? name_from_host(host) : std::string();
}

}  // namespace rexec::cli
