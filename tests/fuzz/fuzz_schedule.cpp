// Any bytes as a schedule that a controller sends, or that lies on a node's disk: refused, or
// whole, bounded and in order; then ticked through, firing nothing twice.
#include <set>

#include "src/agent/schedule_codec.hpp"
#include "src/base/check.hpp"

using namespace rexec;
using namespace rexec::agent;

static void tick_through(const ScheduleDefinition& definition) {
  ScheduleProgress progress;
  HeldSchedule held(NodeId{"n-0123456789ab"}, definition, progress);
  std::set<WallTime> fired;
  for (int i = 0; i < 300; ++i) {
    const auto due = held.next_due();
    if (!due) break;
    for (const Step& step : held.tick(*due))
      if (step.kind == Step::Kind::kStart)
        check(fired.insert(step.firing.nominal).second, "a firing starts once");
    check(held.next_due() != due, "what is due is decided");
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto map = wire::parse_map({data, size});
  if (!map) return 0;
  if (const auto progress = decode_progress(*map)) (void)encode_progress(*progress);
  const auto definition = decode_definition(*map);
  if (!definition) return 0;
  check(definition->firings.size() <= kMaxHeldFirings, "a bounded list");
  const auto again =
      decode_definition(*wire::parse_map(as_bytes(wire::pack(encode_definition(*definition)))));
  check(again.has_value(), "what is written is read");
  tick_through(*definition);
  return 0;
}
