// How an error looks: "rexec: what, where, why" and indented hints for people, one JSON object for
// machines, always on stderr. Everything that came from a peer is escaped here once more.
#pragma once

#include <string>
#include <string_view>

#include "cli/line/verbs.hpp"

namespace rexec::cli {

// Ends with a newline.
std::string error_text(const Error& error);
std::string error_json(const Error& error);

// On stderr, as the globals say; with --verbose the code's name too.
void print_error(const Globals& globals, const Error& error);
// print_error and the exit code of a verb that is not a run (exit_status.hpp).
int fail_with(const Globals& globals, const Error& error);

// "rexec: text" on stderr unless --quiet.
void print_notice(const Globals& globals, std::string_view text);
// All of it to stdout; 0, or 1 when nobody takes it (a full disk is said on stderr).
int print_out(std::string_view text);
// The same without a word: 0 or errno.
int write_out(std::string_view text);

// Whether colours and other niceties of a terminal are wanted on this descriptor.
bool wants_color(const Globals& globals, int fd);

}  // namespace rexec::cli
