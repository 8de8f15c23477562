// One attempt after the other: what follows an end, when, and what ends that. The decision is
// restart.hpp's, taken anew from the directory each time; only the timer is kept here. See
// attempts.hpp.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "src/base/log.hpp"
#include "src/base/text.hpp"
#include "src/job/shim/disconnect.hpp"
#include "src/job/spawner/attempts.hpp"
#include "src/job/spec/digest.hpp"

namespace rexec::job {
namespace {

// A clock that was set back must not make a pause of a day.
constexpr std::uint64_t kMostPauseMs = kLongestPauseMs + kLongestPauseMs / 10;
constexpr Nanos kWriteAgain = std::chrono::milliseconds(500);

bool ends_with_client(int dir_fd) {
  const auto bytes = os::read_file_at(dir_fd, "spec", kMaxSpecBytes);
  const auto spec = bytes ? decode_spec(as_bytes(*bytes)) : std::unexpected(bytes.error());
  return spec && spec->on_disconnect != OnDisconnect::kKeep;
}

std::uint64_t now_ms() { return static_cast<std::uint64_t>(wall_now().time_since_epoch().count()); }

}  // namespace

std::optional<NextAttempt> Attempts::next_of(int dir_fd) const {
  const auto meta = read_meta(dir_fd);
  if (!meta || !meta->meta.restarts) return std::nullopt;  // most jobs: one small file
  const auto record = read_record(dir_fd);
  const auto bytes = os::read_file_at(dir_fd, "spec", kMaxSpecBytes);
  const auto spec = bytes ? decode_spec(as_bytes(*bytes)) : std::unexpected(bytes.error());
  if (!record || !spec) return std::nullopt;
  return next_attempt(spec->restart, *record, {meta->meta.streak, is_halted(dir_fd)});
}

std::uint64_t Attempts::next_ms_of(const AttemptKey& key, int dir_fd) const {
  const auto next = next_of(dir_fd);
  if (!next) return 0;
  if (open_dir({key.job, next->attempt})) return link::kNextIsThere;
  return std::max(next->at_ms, link::kNextIsThere + 1);
}

void Attempts::follow(const AttemptKey& key) {
  const os::UniqueFd dir = open_dir(key);
  const auto next = dir ? next_of(dir.get()) : std::nullopt;
  if (!next || upcoming_.contains(key) || open_dir({key.job, next->attempt})) return;
  const std::uint64_t now = now_ms();
  const std::uint64_t pause = next->at_ms > now ? std::min(next->at_ms - now, kMostPauseMs) : 0;
  log_info("a job is to be started again",
           {{"job", attempt_name(key)}, {"in_ms", std::to_string(pause)}});
  upcoming_[key] = loop_.after(Millis(pause), [this, key] { start_next(key); });
}

// The next attempt's directory is its claim, as for every other; until it is there this one is
// asked again after a crash.
void Attempts::start_next(const AttemptKey& key) {
  upcoming_.erase(key);
  const os::UniqueFd dir = open_dir(key);
  const auto next = dir ? next_of(dir.get()) : std::nullopt;
  if (!next) return;
  const AttemptKey next_key{key.job, next->attempt};
  if (open_dir(next_key) || lookups_.contains(next_key)) return;
  const auto meta = read_meta(dir.get());
  const auto spec = os::read_file_at(dir.get(), "spec", kMaxSpecBytes);
  if (!meta || !spec) return;
  begin({next_key, meta->meta.ticket, meta->meta.owner, meta->attach, next->streak}, *spec);
}

// A later attempt that the node cannot begin is an attempt with an end: the job has a record either
// way, and a start that failed for want of something is tried again as its policy says.
void Attempts::record_refusal(const AttemptKey& key, const Error& error) {
  const AttemptKey before{key.job, key.attempt - 1};
  const os::UniqueFd old = open_dir(before);
  const auto meta = old ? read_meta(old.get()) : fail(Code::kIo, "no attempt before");
  const auto spec = old ? os::read_file_at(old.get(), "spec", kMaxSpecBytes)
                        : Result<std::string>(fail(Code::kIo, "no attempt before"));
  if (!meta || !spec) return log_error("a refused attempt has no predecessor", {});
  const auto planned = next_of(old.get());
  const link::Start start{key, meta->meta.ticket, meta->meta.owner, meta->attach, 0};
  link::Meta own = meta->meta;
  own.received_ms = now_ms();
  own.streak = planned ? planned->streak : own.streak + 1;
  const RefusedEnd end = end_of_refusal(error.code);
  const std::string nothing = StreamDigest(Sha256::kOff).xxh128();
  EndRecord record;
  record.node = defaults_.node;
  record.key = key;
  record.outcome = end.outcome;
  record.code = end.code;
  record.xxh128 = {nothing, nothing};
  record.complete = true;
  record.reason = code_name(error.code);
  record.message = printable(error.message);
  record.ended_ms = own.received_ms;
  const os::UniqueFd dir = claim(key);
  const auto write = [&dir](const char* name, std::string_view bytes, os::Sync sync) {
    return dir && os::replace_file_at(dir.get(), name, as_bytes(bytes), sync).has_value();
  };
  if (write("spec", *spec, os::Sync::kNo) &&
      write("meta", encode_meta(own, start), os::Sync::kNo) &&
      write("exit", to_json(record), os::Sync::kYes)) {
    post_finished(key, dir.get());
    return follow(key);
  }
  retries_[key] = loop_.after(kWriteAgain, [this, key, error] {
    retries_.erase(key);
    record_refusal(key, error);
  });
}

std::optional<AttemptKey> Attempts::newest_of(const JobId& job) const {
  std::optional<AttemptKey> newest;
  for (const AttemptKey& key : list())
    if (key.job == job && (!newest || newest->attempt < key.attempt)) newest = key;
  return newest;
}

// A job that was stopped in a pause was stopped, however its last attempt ended: who comes after it
// must not take the end of an attempt for success.
void Attempts::end_by_stop(const AttemptKey& key, int dir_fd, const char* reason) {
  auto record = read_record(dir_fd);
  if (!record) return;
  record->message = "stopped before attempt " + std::to_string(key.attempt + 1) +
                    "; the last one: " + std::string(outcome_name(record->outcome)) + " " +
                    std::to_string(record->code);
  record->outcome = Outcome::kStopped;
  record->signal = SIGTERM;
  record->code = 128 + SIGTERM;
  record->reason = reason;
  if (auto done = os::replace_file_at(dir_fd, "exit", as_bytes(to_json(*record)), os::Sync::kYes);
      !done)
    log_error("the end of a stopped job could not be written",
              {{"job", attempt_name(key)}, {"why", done.error().message}});
}

void Attempts::halt(const link::Halt& order) {
  const JobId& job = order.key.job;
  const auto newest = newest_of(job);
  if (!newest) return;
  const os::UniqueFd dir = open_dir(*newest);
  if (!dir) return;
  const bool has_ended = read_state(dir.get()).state == AttemptState::kFinished;
  // While an attempt runs its supervisor hears of the client.
  if (order.is_client_end && !(has_ended && ends_with_client(dir.get()))) return;
  // First of all: what was acknowledged was that another attempt follows.
  if (has_ended) ::unlinkat(dir.get(), "reported", 0);
  if (has_ended && next_of(dir.get()))
    end_by_stop(*newest, dir.get(), order.is_client_end ? kClientEnded : "stop");
  lookups_.erase({job, newest->attempt + 1});
  const os::UniqueFd mark(::openat(dir.get(), "halt", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!mark || ::fsync(mark.get()) != 0 || ::fsync(dir.get()) != 0)
    log_error("a job's halt could not be written", {{"job", attempt_name(*newest)}});
  if (const auto timer = upcoming_.extract(*newest); !timer.empty()) loop_.cancel(timer.mapped());
  if (has_ended) post_finished(*newest, dir.get());  // else it runs, and its end is the job's
}

void Attempts::stand_still() {
  for (auto& [key, timer] : upcoming_) loop_.cancel(timer);
  upcoming_.clear();
}

}  // namespace rexec::job
