// This machine's name as a node's: for `rexec join` when neither the token nor --name says one.
#pragma once

#include <string>
#include <string_view>

namespace rexec::cli {

// Pure: the first label, lower-case, what a name may not have as '-', at most 63 characters that
// begin and end alphanumeric. Empty when nothing is left.
std::string name_from_host(std::string_view host);
// Of gethostname(); empty when there is none.
std::string host_as_name();

}  // namespace rexec::cli
