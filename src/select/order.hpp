// The order in which people expect names: node2 before node10.
#pragma once

#include <string_view>

namespace rexec::select {

// A strict weak order; runs of digits compare as numbers of any length. Total: names that differ
// only in leading zeros fall back to byte order.
bool natural_less(std::string_view a, std::string_view b);

}  // namespace rexec::select
