// Between the store's rows and the controller's memory: plain conversions, no decisions.
#include "src/base/cut_text.hpp"
#include "src/controller/state/hub.hpp"
#include "src/job/spec/record_map.hpp"

namespace rexec::controller {
namespace {

WallTime from_ms(std::int64_t ms) { return WallTime{Millis{ms}}; }
constexpr std::size_t kMostShown = 1024;  // of a text of a job: what is written now is shorter

std::int64_t to_ms(WallTime time) { return time.time_since_epoch().count(); }

}  // namespace

store::JobRow job_row(const Job& job) {
  store::JobRow row;
  row.id = job.key.job;
  row.run = job.run;
  row.attempt = job.key.attempt;
  row.node = job.node;
  row.node_name = job.node_name;
  row.owner = job.owner;
  row.owner_name = job.owner_name;
  row.summary = job.command;
  row.spec_hash = job.spec_hash;
  row.request = job.request;
  row.state = job.shown_state();
  row.created_ms = to_ms(job.created);
  row.started_ms = to_ms(job.started);
  row.ended_ms = to_ms(job.ended);
  row.record = job.record ? job.record->dump(-1, ' ', false, wire::Map::error_handler_t::replace)
                          : std::string();
  row.ticket = job.ticket;
  row.mode = job.is_detached ? store::JobMode::kDetached : store::JobMode::kAttached;
  row.keyed = job.is_keyed;
  return row;
}

Job job_from_row(const store::JobRow& row) {
  Job job;
  job.key = {row.id, row.attempt};
  job.run = row.run;
  job.node = row.node;
  job.node_name = cut_text(row.node_name, kMostShown);
  job.owner = row.owner;
  job.owner_name = cut_text(row.owner_name, kMostShown);
  job.command = cut_text(row.summary, kMostShown);
  job.spec_hash = row.spec_hash;
  job.request = row.request;
  job.created = from_ms(row.created_ms);
  job.started = from_ms(row.started_ms);
  job.ended = from_ms(row.ended_ms);
  job.ticket = row.ticket;
  job.is_detached = row.mode == store::JobMode::kDetached;
  job.is_keyed = row.keyed;
  if (!row.record.empty()) {
    // An earlier version may have taken what a node said as it was.
    job.record = std::make_shared<const wire::Map>(job::bounded_record(
        wire::Map::parse(row.record, nullptr, false), {job.node_name, job.key}));
    job.state = JobState::kFinal;
  } else {
    const bool runs = row.state == "running" || row.state == kRestarting;
    // When, the node says again once it is back.
    if (row.state == kRestarting) job.next_attempt = job.created;
    job.state = runs                        ? JobState::kRunning
                : row.state == "dispatched" ? JobState::kDispatched
                                            : JobState::kAccepted;
  }
  return job;
}

Node node_from_row(const store::NodeRow& row) {
  Node node;
  node.id = row.id;
  node.name = row.name;
  node.enrolled = row.enrolled;
  node.run_as = row.run_as;
  const auto labels = wire::Map::parse(row.labels, nullptr, false);
  if (labels.is_object())
    for (const auto& [key, value] : labels.items())
      if (value.is_string()) node.labels[key] = value.get<std::string>();
  return node;
}

}  // namespace rexec::controller
