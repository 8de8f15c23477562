// What is kept of the attempts that have ended, and for how long. See attempts.hpp.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/job/spawner/attempts.hpp"
#include "src/job/spec/record.hpp"

namespace rexec::job {
namespace {

constexpr Nanos kRetirePause = std::chrono::minutes(10);
// Of a node that is full of small jobs a look at all of them takes a tenth of a second or more.
constexpr Nanos kLookAgain = std::chrono::seconds(5);

std::uint64_t bytes_of(const std::vector<Kept>& kept) {
  std::uint64_t total = 0;
  for (const Kept& one : kept) total += one.output + one.beside + one.rest;
  return total;
}

void mark(int dir_fd, const char* name) {
  os::UniqueFd(::openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)).reset();
}

}  // namespace

void Attempts::reported(const link::Reported& reported) {
  const os::UniqueFd dir = open_dir(reported.key);
  if (!dir || read_state(dir.get()).state != AttemptState::kFinished) return;
  // It crossed a halt: that the job is over was not acknowledged yet.
  if (!reported.is_final && !next_of(dir.get())) return;
  fail_point(FailPoint::kSpawnerReporting);
  const bool is_new = !is_reported(dir.get());
  if (is_new) note_left(dir.get());
  mark(dir.get(), "reported");
  fail_point(FailPoint::kSpawnerReported);
  if (is_new) note_kept(reported.key, dir.get());
}

void Attempts::forget_reports() {
  std::map<JobId, std::uint32_t> newest;  // the job's end; what came before it led there
  for (const AttemptKey& key : list()) newest[key.job] = std::max(newest[key.job], key.attempt);
  for (const auto& [job, attempt] : newest)
    if (const os::UniqueFd dir = open_dir({job, attempt})) ::unlinkat(dir.get(), "reported", 0);
}

void Attempts::remove(const AttemptKey& key) {
  for (const AttemptKey& other : key.attempt > 1 ? list() : std::vector<AttemptKey>{})
    if (other.job == key.job && other.attempt < key.attempt)
      (void)remove_directory(jobs_.get(), attempt_name(other));
  const os::UniqueFd dir = open_dir(key);
  if (!dir || read_state(dir.get()).state != AttemptState::kFinished) return;
  fail_point(FailPoint::kSpawnerRemoving);
  (void)remove_directory(jobs_.get(), attempt_name(key));
}

std::vector<Kept> Attempts::reported_ones() const {
  std::vector<Kept> kept;
  for (const AttemptKey& key : list()) {
    const os::UniqueFd dir = open_dir(key);
    if (dir && is_reported(dir.get()) && !upcoming_.contains(key))
      kept.push_back(measure_attempt(key, dir.get()));
  }
  if (bytes_of(kept) <= limits_.bytes) return kept;
  for (Kept& one : kept) {
    const os::UniqueFd dir = open_dir(one.key);
    const auto meta = read_meta(dir.get());
    one.is_foreground = meta && meta->attach;
  }
  return kept;
}

void Attempts::retire() {
  loop_.cancel(retire_timer_);
  retire_timer_ = loop_.after(kRetirePause, [this] { retire(); });
  retires_soon_ = false;
  const std::vector<Kept> kept = reported_ones();
  std::ranges::for_each(kept, [this](const Kept& one) { give_up_when_due(one); });
  const auto going = with_predecessors(choose_going(kept, limits_, wall_now()), list());
  const auto gone = static_cast<std::size_t>(
      std::ranges::count_if(going, [this](const Going& one) { return give_up(one); }));
  kept_bytes_ = bytes_of(gone > 0 ? reported_ones() : kept);
  retired_ = BootClock::now();
  if (gone > 0) log_info("gave up what ended jobs wrote", {{"jobs", std::to_string(gone)}});
}

// A look reads all there is: at most one in kLookAgain.
void Attempts::retire_soon() {
  if (kept_bytes_ <= limits_.bytes || std::exchange(retires_soon_, true)) return;
  loop_.cancel(retire_timer_);
  const Nanos wait = std::max(retired_ + kLookAgain - BootClock::now(), Nanos(0));
  retire_timer_ = loop_.after(wait, [this] { retire(); });
}

// Before it is marked as reported: who finds that mark knows what there is to know.
void Attempts::note_left(int dir_fd) {
  const auto meta = read_meta(dir_fd);
  if (!meta || !meta->attach) return;
  const auto record = read_record(dir_fd);
  if (!record || record->reason != kClientEnded) return;  // most jobs: two small files
  const auto bytes = os::read_file_at(dir_fd, "spec", kMaxSpecBytes);
  const auto spec = bytes ? decode_spec(as_bytes(*bytes)) : std::unexpected(bytes.error());
  if (spec && counts_as_read(*spec, *record)) mark(dir_fd, "left");
}

void Attempts::note_kept(const AttemptKey& key, int dir_fd) {
  const Kept kept = measure_attempt(key, dir_fd);
  kept_bytes_ += bytes_of({kept});
  give_up_when_due(kept);
  retire_soon();
}

void Attempts::was_read(const AttemptKey& key) {
  const os::UniqueFd dir = open_dir(key);
  if (!dir || read_state(dir.get()).state != AttemptState::kFinished) return;
  const auto meta = read_meta(dir.get());
  if (!meta || !meta->attach) return;
  mark(dir.get(), "read");
  // Before it is reported it is the only copy of the job's end, and reported() comes here, too.
  if (is_reported(dir.get())) give_up_when_due(measure_attempt(key, dir.get()));
}

void Attempts::give_up_when_due(const Kept& kept) {
  const auto due = due_when_read(kept, limits_);
  if (!due || read_.contains(kept.key)) return;
  const Millis wait = std::clamp(*due - wall_now(), Millis{0}, limits_.read);
  read_[kept.key] = loop_.after(wait, [this, key = kept.key, why = kept.read_as] {
    read_.erase(key);
    const auto all = key.attempt > 1 ? list() : std::vector<AttemptKey>{key, {key.job, 2}};
    std::vector<AttemptKey> there;
    std::ranges::copy_if(all, std::back_inserter(there),
                         [this](const AttemptKey& one) { return bool(open_dir(one)); });
    for (const Going& going : with_predecessors({{key, Part::kOutput, why}}, there))
      give_up(going);
  });
}

// False: it stays, for another attempt is to follow it, or it went meanwhile.
bool Attempts::give_up(const Going& going) {
  const os::UniqueFd dir = open_dir(going.key);
  if (!dir) return false;
  if (const auto next = next_of(dir.get()); next && !open_dir({going.key.job, next->attempt}))
    return false;
  if (going.part == Part::kOutput)
    give_up_output(going, dir.get());
  else
    (void)remove_directory(jobs_.get(), attempt_name(going.key));
  return true;
}

// First the note, so that nobody looks for output that is not there and finds no reason; on a full
// disk its place may only come from the output.
void Attempts::give_up_output(const Going& going, int dir_fd) {
  auto record = read_record(dir_fd);
  if (!record) return (void)remove_directory(jobs_.get(), attempt_name(going.key));
  bool is_noted = record->given_up != GivenUp::kNot;  // and then the agent was killed
  const auto note = [&] {
    record->given_up = going.why;
    record->given_up_ms = static_cast<std::uint64_t>(wall_now().time_since_epoch().count());
    return os::replace_file_at(dir_fd, "exit", as_bytes(to_json(*record)), os::Sync::kNo)
        .has_value();
  };
  if (!is_noted) is_noted = note();
  for (const std::string& name : files_of_output(dir_fd)) ::unlinkat(dir_fd, name.c_str(), 0);
  if (!is_noted) note();
}

}  // namespace rexec::job
