// A held schedule as a MessagePack map: as the controller sends it and as it lies on disk. Both are
// read with the same suspicion. Pure.
#pragma once

#include "src/agent/held_schedule.hpp"

namespace rexec::agent {

inline constexpr std::size_t kMaxHeldFirings = 128;
inline constexpr std::size_t kMaxHeldSpec = 128 << 10;

// kProtocol, naming the field, for anything that is not a whole and orderly schedule.
Result<ScheduleDefinition> decode_definition(const wire::Map& map);
wire::Map encode_definition(const ScheduleDefinition& definition);

// Since when its firings count; 1970 when that is no time.
WallTime cursor_in(const wire::Map& map);
Result<ScheduleProgress> decode_progress(const wire::Map& map);
wire::Map encode_progress(const ScheduleProgress& progress);

}  // namespace rexec::agent
