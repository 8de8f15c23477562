// An end record that came from a peer, as a map, read into what one may be (record.hpp): whoever
// lists it, stores it or exits by it need not ask again. Whose record it is, the reader knows; the
// peer's word on that is not taken.
#pragma once

#include "src/base/ids.hpp"
#include "src/job/spec/record.hpp"
#include "src/wire/maps.hpp"

namespace rexec::job {

struct KnownAttempt {
  std::string node;
  AttemptKey key;
};

// The fields that a record has, each of its type and in its range: numbers finite, texts short and
// printable, digests hex. One that is there and is something else has its default; one that is not
// there stays away, and so does what no record has. Without a usable outcome and code it is the
// record of a job that is lost, reason "unreadable".
wire::Map bounded_record(const wire::Map& said, const KnownAttempt& known);

// Why and when a node gave up what a job wrote, the field "given_up" wherever that is said: {why:
// "read"|"room"|"client_ended", ms}. null: it did not.
wire::Map given_up_map(GivenUp why, std::uint64_t ms);
// A peer's, read into one; null when it is none.
wire::Map bounded_given_up(const wire::Map& said);

}  // namespace rexec::job
