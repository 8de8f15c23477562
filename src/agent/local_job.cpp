#include "src/agent/local_job.hpp"

#include <signal.h>

#include <algorithm>
#include <array>

#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/base/text.hpp"
#include "src/job/spec/digest.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spec/spec.hpp"

namespace rexec::agent {

namespace link = job::link;

namespace {

constexpr std::size_t kSegmentsKept = 16;
constexpr Millis kReaderDue{10'000};

// For a shim that is not connected: what a person asks of a job within a few milliseconds.
constexpr std::size_t kMostKept = 64;

std::string words_of(const link::Held& held) {
  if (held.readers == link::kUnread) return std::string(LocalJob::kUnread);
  if (held.error == 0) return {};
  const char* words = ::strerrordesc_np(static_cast<int>(held.error));
  return words == nullptr ? "error " + std::to_string(held.error) : words;
}

// The spool has no more than what is there: a reader need not be told where that ends.
constexpr std::uint64_t kWholeSpool = ~std::uint64_t{0} >> 1;

}  // namespace

LocalJob::LocalJob(const net::Executor& executor, AttemptKey key, Events events)
    : executor_(executor), key_(std::move(key)), events_(std::move(events)), lonely_(executor) {}

void LocalJob::use_channel(const link::ShimChannel& channel, os::UniqueFd socket) {
  if (ended()) {
    // It ended while a late reader's channel was on its way: by now its spool is to be had whole.
    if (spool_ == Spool::kAsked && has_readers()) events_.on_spool_wanted(*this);
    return;
  }
  meta_ = channel.meta;
  shim_version_ = channel.version;
  if (channel.pid != 0) {
    pid_ = channel.pid;
    started_ms_ = channel.started_ms;
  }
  segments_.clear();
  spool_ = Spool::kComing;
  told_readers_ = kUntold;
  drop_connection();
  shim_ = std::make_unique<MessageSocket>(
      executor_, std::move(socket),
      [this](ByteSpan bytes, std::vector<os::UniqueFd> fds) { on_message(bytes, std::move(fds)); },
      [this] { on_closed(); });
  for (const link::ToShim& message : std::exchange(kept_, {})) send(message);
  if (kept_stop_) send(*std::exchange(kept_stop_, std::nullopt));
}

void LocalJob::use_finished(const link::Finished& finished, std::vector<os::UniqueFd> fds) {
  const bool again = ended();  // for a reader that came late, or no further attempt follows
  if (again && next_ms_ != 0 && finished.next_ms == 0) {
    next_ms_ = 0;
    reported = false;
    record_ = finished.record;  // of a job that was stopped in a pause it is another
    events_.on_ended(*this);
  }
  if (again && spool_ != Spool::kAsked) return;
  spool_ = Spool::kComing;
  auto record = job::record_from_json(finished.record);
  segments_.clear();
  for (auto& fd : fds) {
    auto info = job::read_segment_info(fd.get());
    if (!info) continue;  // the readers meet a gap there and say so
    segments_.push_back(
        std::make_shared<job::SpoolSegment>(job::SpoolSegment{*info, std::move(fd)}));
  }
  if (record) {
    out_total_ = record->bytes.out;
    err_total_ = record->bytes.err;
    started_ms_ = record->started_ms;
    given_up_ = record->given_up;
    given_up_ms_ = record->given_up_ms;
  }
  spool_size_ = kWholeSpool;
  if (again) {
    become_readable();
    return pump_readers();
  }
  meta_ = finished.meta;
  reported = finished.reported;
  next_ms_ = finished.next_ms;
  end_with(finished.record);
  if (!has_readers()) rest();
}

void LocalJob::use_refusal(const Error& error, const std::string& node) {
  const bool began = pid_ != 0 || error.code == Code::kUnknownJob;
  const job::RefusedEnd refused = job::end_of_refusal(error.code);
  const std::string nothing = job::StreamDigest(job::Sha256::kOff).xxh128();
  job::EndRecord record;
  record.node = node;
  record.key = key_;
  if (!began) {
    record.outcome = refused.outcome;
    record.code = refused.code;
    record.complete = true;
  }
  record.xxh128 = {nothing, nothing};
  record.reason = code_name(error.code);
  record.message = printable(error.message);
  record.ended_ms = static_cast<std::uint64_t>(wall_now().time_since_epoch().count());
  spool_size_ = kWholeSpool;
  spool_ = Spool::kComing;
  end_with(job::to_json(record));
}

void LocalJob::spool_is_gone() {
  spool_ = Spool::kComing;
  become_readable();
  pump_readers();
}

void LocalJob::end_with(std::string record) {
  shim_.reset();
  record_ = std::move(record);
  become_readable();
  events_.on_ended(*this);
  pump_readers();
}

void LocalJob::next_is_there() {
  if (next_ms_ != 0) next_ms_ = link::kNextIsThere;
}

// Between two attempts there is no process to signal: what would end one ends the waiting.
bool LocalJob::halts(const link::ToShim& message) const {
  if (!meta_.restarts && next_ms_ == 0) return false;
  if (std::holds_alternative<link::Stop>(message)) return true;
  const auto* signal = std::get_if<link::Signal>(&message);
  if (signal == nullptr || !ended()) return false;
  constexpr std::array kEnding = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGKILL};
  return std::ranges::find(kEnding, static_cast<int>(signal->number)) != kEnding.end();
}

void LocalJob::send(const link::ToShim& message) {
  const auto* stop = std::get_if<link::Stop>(&message);
  if (halts(message)) {
    events_.on_halt(*this, stop == nullptr ? link::Stop{} : *stop);
  }
  const bool is_unknown =
      stop != nullptr && stop->grace_ms == link::kOwnGrace && shim_version_ < link::kKnowsOwnGrace;
  if (shim_ && is_unknown)
    shim_->send(link::encode(link::ToShim{link::Stop{job::kDefaultGraceMs}}, shim_version_));
  else if (shim_)
    shim_->send(link::encode(message, shim_version_));
  else if (!ended())
    keep(message);
}

void LocalJob::keep(const link::ToShim& message) {
  if (const auto* stop = std::get_if<link::Stop>(&message)) {
    const std::uint64_t before = kept_stop_ ? kept_stop_->grace_ms : stop->grace_ms;
    kept_stop_ = link::Stop{std::min(before, stop->grace_ms)};
    return;
  }
  const bool asked = std::holds_alternative<link::Signal>(message) ||
                     std::holds_alternative<link::CloseOutput>(message) ||
                     std::holds_alternative<link::Resize>(message) ||
                     std::holds_alternative<link::Leave>(message);
  if (asked && kept_.size() < kMostKept) kept_.push_back(message);
}

void LocalJob::drop_connection() {
  if (!shim_) return;
  const auto unsent = shim_->take_unsent();
  shim_.reset();
  met_ = false;
  for (const std::string& bytes : unsent)
    if (const auto message = link::decode_to_shim(as_bytes(bytes))) send(*message);
}

void LocalJob::on_message(ByteSpan bytes, std::vector<os::UniqueFd> fds) {
  const auto self = shared_from_this();
  auto message = link::decode_from_shim(bytes);
  if (!message) {
    log_error("a shim sent something unreadable",
              {{"job", key_.job.text}, {"why", message.error().message}});
    return;
  }
  if (auto* state = std::get_if<link::State>(&*message))
    handle(*state);
  else if (auto* segment = std::get_if<link::Segment>(&*message))
    handle(*segment, fds.empty() ? os::UniqueFd() : std::move(fds.front()));
  else if (auto* output = std::get_if<link::Output>(&*message))
    handle(*output);
  else if (auto* ack = std::get_if<link::StdinAck>(&*message))
    handle(*ack);
  else if (auto* started = std::get_if<link::Started>(&*message))
    handle(*started);
  else if (auto* end = std::get_if<link::End>(&*message))
    handle(*end);
  else if (auto* held = std::get_if<link::Held>(&*message))
    handle(*held);
}

void LocalJob::handle(const link::Held& held) {
  waits_for_readers_ = held.readers != 0;
  if (waits_for_readers_) pump_readers();
  const std::string why = words_of(held);
  if (why == std::exchange(held_why_, why)) return;
  for (const auto& reader : readers_) reader->held(why);
  if (events_.on_held) events_.on_held(*this);
  if (held.error != 0)
    log_warn("a job is held back: its output cannot be written",
             {{"job", key_.job.text}, {"why", why}});
}

void LocalJob::on_closed() {
  const auto self = shared_from_this();
  drop_connection();
  if (!ended()) events_.on_shim_lost(*this);
}

void LocalJob::handle(const link::State& state) {
  stdin_offset_ = state.in_offset;
  stdin_limit_ = state.in_limit;
  if (state.started && state.pid != 0) handle(link::Started{state.pid, state.started_ms});
  met_ = true;
  handle(link::Held{});  // if it is held, that follows
  for (auto& reader : readers_)
    if (reader->job().get() == this) reader->shim_is_back(stdin_offset_, stdin_limit_);
  // Otherwise once the output that there is has been told.
  if (state.out_total == 0 && state.err_total == 0) become_readable();
  if (has_readers() || client_ended_) return tell_readers();
  // The shim of a foreground job believes in a reader from the start; if none comes it must hear
  // so.
  lonely_.arm(kReaderDue, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->tell_readers();
  });
}

void LocalJob::handle(const link::Segment& segment, os::UniqueFd fd) {
  if (!has_readers() && spool_ != Spool::kAsked) spool_ = Spool::kDropped;
  if (!fd || spool_ == Spool::kDropped || spool_ == Spool::kAsked) return;
  const job::SegmentInfo info{segment.index, segment.out_base, segment.err_base, segment.seq_base};
  segments_.push_back(std::make_shared<job::SpoolSegment>(job::SpoolSegment{info, std::move(fd)}));
  // The newest 16 are kept: more than the quota's eight, so that a reader at the edge still finds
  // its place.
  if (segments_.size() > kSegmentsKept) segments_.erase(segments_.begin());
  for (auto& reader : readers_) {
    reader->spool().add_segment(segments_.back());
    reader->spool().keep_newest(kSegmentsKept);
  }
}

void LocalJob::handle(const link::Output& output) {
  out_total_ = output.out_total;
  err_total_ = output.err_total;
  spool_size_ = output.spool_size;
  become_readable();
  pump_readers();
}

void LocalJob::handle(const link::StdinAck& ack) {
  stdin_offset_ = ack.offset;
  stdin_limit_ = ack.limit;
  for (auto& reader : readers_) reader->stdin_acknowledged(ack.offset, ack.limit);
}

void LocalJob::handle(const link::Started& started) {
  if (pid_ == started.pid && started_ms_ == started.started_ms && started_told_) return;
  started_told_ = true;
  fail_point(FailPoint::kNetStartedRead);
  pid_ = started.pid;
  started_ms_ = started.started_ms;
  events_.on_started(*this);
  for (auto& reader : readers_) reader->started(pid_, started_ms_);
}

void LocalJob::handle(const link::End& end) {
  if (ended()) return;
  fail_point(FailPoint::kNetEndRead);
  if (!meta_.restarts) return end_with(end.record);
  // Whether it is the job's end the spawner knows.
  drop_connection();
  events_.on_shim_lost(*this);
}

void LocalJob::become_readable() {
  if (spool_ != Spool::kComing) return;
  spool_ = Spool::kHere;
  const auto waiting = readers_;
  for (const auto& reader : waiting) {
    if (reader->job().get() == this) continue;
    give_spool(*reader);
    reader->attach(shared_from_this());
    reader->held(held_why_);
  }
}

void LocalJob::give_spool(Reader& reader) {
  for (const auto& segment : segments_) reader.spool().add_segment(segment);
  reader.spool().set_limits(out_total_, err_total_, spool_size_);
  // Where segments are missing then, a reader that follows would wait for them for ever.
  if (ended()) reader.spool().finish();
}

void LocalJob::add_reader(std::shared_ptr<Reader> reader) {
  readers_.push_back(reader);
  reader->place_at(weak_from_this());
  if (reader->options().owns) {
    client_ended_ = false;
    gone_ = link::Gone::kUnknown;
  }
  if (spool_ == Spool::kDropped) {
    spool_ = Spool::kAsked;
    events_.on_spool_wanted(*this);
  } else if (spool_ == Spool::kHere) {
    give_spool(*reader);
    reader->attach(shared_from_this());
    reader->held(held_why_);
  }
  tell_readers();
}

void LocalJob::remove_reader(const Reader& reader, link::Gone how) {
  std::erase_if(readers_, [&](const auto& one) { return one.get() == &reader; });
  client_ended_ |= reader.client_ended();
  // In an outage an end of before waits for the other readers; a visitor knows nothing of the
  // client.
  const bool is_outage = how == link::Gone::kUnknown && !reader.client_ended();
  if (is_outage || reader.options().owns) gone_ = how;
  if (client_ended_ && !is_outage) gone_ = link::Gone::kEnded;
  tell_readers();
  if (readers_.empty()) rest();
  if (client_ended_ && ended() && holders() == 0) events_.on_client_end(*this);
}

void LocalJob::client_ended() {
  client_ended_ = true;
  gone_ = link::Gone::kEnded;
  if (holders() > 0) return;
  told_readers_ = kUntold;
  tell_readers();
  if (ended()) events_.on_client_end(*this);
}

void LocalJob::rest() {
  if (segments_.empty() || spool_ != Spool::kHere) return;
  segments_.clear();
  spool_ = Spool::kDropped;
}

void LocalJob::pump_readers() {
  const auto readers = readers_;
  for (const auto& reader : readers) {
    reader->spool().set_limits(out_total_, err_total_, spool_size_);
    if (ended()) reader->spool().finish();
    reader->pump();
  }
}

void LocalJob::tell_readers() {
  if (!shim_ || !met_) return;
  const std::uint32_t count = holders();
  if (count != told_readers_) {
    told_readers_ = count;
    send(link::Readers{count, gone_});
  }
  if (count > 0) reader_moved();
}

void LocalJob::reader_moved() {
  link::Read slowest{link::kNoReader, link::kNoReader};
  paced_ = false;
  std::uint64_t limit = ~std::uint64_t{0};  // of what the job may have written
  for (const auto& reader : readers_) {
    if (!reader->options().holds) continue;
    if (reader->options().paces) {
      paced_ = true;
      limit = std::min(limit, reader->pace_limit());
    }
    slowest.out = std::min(slowest.out, reader->safe_offset(job::Channel::kOut));
    slowest.err = std::min(slowest.err, reader->safe_offset(job::Channel::kErr));
  }
  if (paced_) slowest.ahead = limit - (slowest.out + slowest.err);
  if (slowest.out != link::kNoReader) send(slowest);
}

}  // namespace rexec::agent
