// Reading and writing the small files of cgroupfs and /proc, for cgroup.cpp and limits.cpp.
#pragma once

#include <string>
#include <string_view>

namespace rexec::os {

// The whole text of a file that reports size 0; empty when it cannot be read.
std::string slurp_at(int directory, const char* name);
// One write(2), as these files want it; false with errno.
bool put_at(int directory, const char* name, std::string_view text);
// mountinfo writes space, tab, newline and backslash as octal escapes.
std::string unescape_mount(std::string_view text);

}  // namespace rexec::os
