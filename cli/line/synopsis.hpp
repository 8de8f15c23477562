// What a verb's synopsis says about its words: which one is missing. Pure; the synopses are in the
// table of verbs.
#pragma once

#include <string>
#include <string_view>

namespace rexec::cli {

// The name of word number `given` (from 0) of those that must be there: "JOB" for "[flags] JOB…"
// and 0. Flags, their values and what stands in brackets are not counted, nor is a second way to
// write the whole (" | …"). Empty when no further word must be there.
std::string missing_word(std::string_view synopsis, std::size_t given);

}  // namespace rexec::cli
