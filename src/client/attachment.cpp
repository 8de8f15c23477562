#include "src/client/attachment.hpp"

#include <xxhash.h>

#include <algorithm>

#include "src/base/cut_text.hpp"
#include "src/base/fail_point.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spec/record_map.hpp"

namespace rexec::client {
namespace {

constexpr std::size_t kMostBacklog = 256 << 10;
constexpr std::size_t kMostWatchedBacklog = 64 << 10;

constexpr std::size_t kMostWhy = 500;

std::string why_of(const wire::Map& map) {
  return std::string(cut_text(wire::text_or(map, "why"), kMostWhy));
}

std::string hex_of(const XXH3_state_t* state) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
  return to_hex({canonical.digest, sizeof canonical.digest});
}

}  // namespace

void keep_unsent(std::vector<wire::Map>& unsent, const wire::Map& signal) {
  constexpr std::size_t kMostUnsent = 16;
  const auto is_size = [](const wire::Map& one) { return wire::text_or(one, "t") == "resize"; };
  if (is_size(signal)) std::erase_if(unsent, is_size);
  if (unsent.size() == kMostUnsent) unsent.erase(unsent.begin());
  unsent.push_back(signal);
}

Attachment::Attachment(std::size_t index, JobInfo info, const RunPlan& plan, Observer& observer,
                       Source* source, Hooks hooks)
    : index_(index),
      info_(std::move(info)),
      plan_(plan),
      observer_(observer),
      source_(source),
      hooks_(std::move(hooks)) {
  out_.received = info_.out;
  err_.received = info_.err;
  for (Side* one : {&out_, &err_}) {
    one->whole = one->received == 0;
    one->hash = XXH3_createState();
    XXH3_128bits_reset(one->hash);
  }
}

Attachment::~Attachment() {
  if (remote_ != nullptr) remote_->forget(stream_);
  XXH3_freeState(out_.hash);
  XXH3_freeState(err_.hash);
}

void Attachment::bind(Remote& remote, wire::StreamId stream) {
  remote_ = &remote;
  stream_ = stream;
  stream_received_ = 0;
  granted_ = wire::kInitialWindow;
  asked_ = false;
  timed_ = false;
  stdin_ended_ = false;
  // A stream that the controller opens with the submit begins at byte 0 everywhere; any other waits
  // to be told.
  stdin_ready_ = stdin_sent_ == 0 && out_.received == 0 && err_.received == 0;
  stdin_base_ = 0;
  for (const wire::Map& signal : std::exchange(unsent_, {})) send_signal(signal);
}

void Attachment::reattach(Remote& remote) {
  const wire::Map args{{"job", info_.job},
                       {"attempt", info_.attempt},
                       {"node", info_.node},
                       {"ticket", info_.ticket},
                       {"out", out_.received},
                       {"err", err_.received},
                       {"stdin", source_ != nullptr},
                       {"follow", plan_.follow == Follow::kUntilEnd},
                       {"hold", plan_.hold == Hold::kYes},
                       {"pace", plan_.pace == Pace::kReader},
                       {"times", plan_.times == Times::kYes},
                       {"owns", plan_.owns},
                       {"window", window_}};
  const wire::StreamId stream = remote.open("attach", args, *this);
  fail_point(FailPoint::kClientAttachSent);
  bind(remote, stream);
  stdin_ready_ = false;
  grant();
}

void Attachment::unbind() {
  if (remote_ == nullptr) return;
  remote_->forget(stream_);
  remote_ = nullptr;
}

void Attachment::abandon() {
  if (remote_ != nullptr) {
    remote_->session().reset(stream_, {Code::kLinkLost, "the reader waits no longer", {}});
    remote_->flush();
  }
  unbind();
  finished_ = true;
  hooks_.on_finished(*this);
}

Attachment::Side* Attachment::side(wire::Channel channel) {
  if (channel == wire::Channel::kOut) return &out_;
  return channel == wire::Channel::kErr ? &err_ : nullptr;
}

void Attachment::on_data(wire::Channel channel, ByteSpan bytes) {
  Side* to = side(channel);
  if (to == nullptr) return;
  fail_point(FailPoint::kClientOutputRead);
  stream_received_ += bytes.size();
  if (!timed_) {
    take(channel, *to, bytes, std::nullopt);
  } else {
    while (const auto part = to->pieces.next(bytes)) take(channel, *to, part->bytes, part->written);
  }
  grant();
}

void Attachment::take(wire::Channel channel, Side& to, ByteSpan bytes,
                      std::optional<WallTime> written) {
  to.received += bytes.size();
  if (to.whole) XXH3_128bits_update(to.hash, bytes.data(), bytes.size());
  observer_.output(index_, channel, bytes, written);
}

void Attachment::grant() {
  const std::size_t most = plan_.pace == Pace::kReader ? kMostWatchedBacklog : kMostBacklog;
  if (remote_ == nullptr || observer_.backlog_of(index_) > most) return;
  const std::uint64_t limit = stream_received_ + wire::kInitialWindow;
  if (!asked_ && limit < granted_ + window_ / 4) return;
  asked_ = false;
  granted_ = limit;
  remote_->session().grant(stream_, limit);
  remote_->flush();
}

void Attachment::on_event(const wire::Map& map) {
  const std::string type = wire::text_or(map, "t");
  if (type == "attached") {
    handle_attached(map);
  } else if (type == "gap") {
    handle_gap(map);
  } else if (type == "started") {
    if (!std::exchange(started_, true)) observer_.started(index_);
  } else if (type == "waiting") {
    hooks_.on_attached(*this);  // somebody answers for it: nothing is amiss
    observer_.waiting(index_, why_of(map));
  } else if (type == "away") {
    hooks_.on_away(*this, {Code::kNodeOffline, why_of(map), {}});
  } else if (type == "ask") {
    asked_ = true;
    grant();
  } else if (type == "held") {
    observer_.held(index_, why_of(map));
  } else if (type == "restarting") {
    handle_restarting(map);
  } else if (type == "attempt") {
    handle_attempt(map);
  } else if (type == "end") {
    handle_end(record_in(map), map);
  }
}

wire::Map Attachment::record_in(const wire::Map& map) const {
  return job::bounded_record(wire::child_or_empty(map, "record"),
                             {info_.node, {{info_.job}, info_.attempt}});
}

// Of one job: the others of its run go on.
void Attachment::fail(const Error& error) {
  const job::RefusedEnd end = job::end_of_refusal(error.code);
  const bool is_lost = started_ || out_.received + err_.received > 0;
  wire::Map record{{"node", info_.node},
                   {"job", info_.job},
                   {"outcome", job::outcome_name(is_lost ? job::Outcome::kLost : end.outcome)},
                   {"code", is_lost ? 121 : end.code},
                   {"complete", false},
                   {"reason", code_name(error.code)},
                   {"message", error.message}};
  handle_end(std::move(record), wire::Map::object());
  on_end();
}

void Attachment::handle_attached(const wire::Map& map) {
  timed_ = plan_.times == Times::kYes && wire::bool_or(map, "times", false);
  for (Side* one : {&out_, &err_}) one->pieces = {};
  stdin_base_ = wire::u64_or(map, "in", 0);
  // A client that comes to a job that is there speaks on from where the job's stdin is.
  if (!plan_.jobs.empty() && !stdin_ready_) stdin_origin_ = stdin_base_;
  stdin_sent_ = std::max(stdin_base_, stdin_ready_ ? stdin_sent_ : stdin_base_);
  stdin_acknowledged_ = std::max(stdin_acknowledged_, stdin_base_);
  stdin_ready_ = true;
  hooks_.on_attached(*this);
  fail_point(FailPoint::kClientAttached);
  pump_stdin();
}

void Attachment::handle_gap(const wire::Map& map) {
  const auto channel = static_cast<wire::Channel>(wire::u64_or(map, "channel", 0));
  Side* to = side(channel);
  const std::uint64_t until = wire::u64_or(map, "to", 0);
  if (to == nullptr || until <= to->received) return;
  observer_.gap(index_, channel, to->received, until);
  to->received = until;
  to->whole = false;
}

// Count and digest of what came here against what the shim saw. A reader that began later, or met a
// gap, has only the count.
bool Attachment::matches(const wire::Map& record) const {
  const wire::Map& bytes = wire::child_or_empty(record, "bytes");
  const wire::Map& digests = wire::child_or_empty(record, "xxh128");
  const auto same = [&](const Side& one, const char* key) {
    if (wire::u64_or(bytes, key, one.received) != one.received) return false;
    const std::string expected = wire::text_or(digests, key);
    return !one.whole || expected.empty() || expected == hex_of(one.hash);
  };
  return same(out_, "out") && same(err_, "err");
}

// All of both streams came here, and their digests say so.
bool Attachment::has_all(const wire::Map& record) const {
  const wire::Map& digests = wire::child_or_empty(record, "xxh128");
  const bool known =
      !wire::text_or(digests, "out").empty() && !wire::text_or(digests, "err").empty();
  return known && out_.whole && err_.whole && matches(record);
}

// The offsets stay those of the attempt that ended until the next one's output begins: should the
// link break meanwhile, this is where to come back to.
void Attachment::handle_restarting(const wire::Map& map) {
  const wire::Map record = record_in(map);
  const auto next = static_cast<std::uint32_t>(wire::u64_or(map, "attempt", 0));
  if (next <= announced_) return;
  announced_ = next;
  earlier_incomplete_ = earlier_incomplete_ || !matches(record);
  observer_.restarting(index_, record, next, wire::u64_or(map, "at_ms", 0));
}

void Attachment::handle_attempt(const wire::Map& map) {
  info_.attempt = static_cast<std::uint32_t>(wire::u64_or(map, "attempt", info_.attempt));
  for (Side* one : {&out_, &err_}) {
    one->received = 0;
    one->whole = true;
    XXH3_128bits_reset(one->hash);
  }
  observer_.next_attempt(index_, info_.attempt);
}

// Whether the job wrote something that did not come here; or it is not known.
bool Attachment::misses_some(const wire::Map& record, const wire::Map& end) const {
  const wire::Map& bytes = wire::child_or_empty(record, "bytes");
  return !record.contains("xxh128") || wire::u64_or(end, "attempt", 1) > info_.attempt ||
         wire::u64_or(bytes, "out", 0) > out_.received ||
         wire::u64_or(bytes, "err", 0) > err_.received;
}

// `end`: the event that came with the record. Nobody may have the output any more.
void Attachment::handle_end(wire::Map record, const wire::Map& end) {
  if (finished_) return;
  fail_point(FailPoint::kClientEndRead);
  if (const std::string why = wire::text_or(end, "unreachable");
      !why.empty() && misses_some(record, end)) {
    record["complete"] = false;
    record["unreachable"] = why;
    if (why == "given_up")
      record["given_up"] = job::bounded_given_up(wire::child_or_empty(end, "given_up"));
  }
  // The node counts what it dropped before it heard that this reader had it.
  has_whole_ = !earlier_incomplete_ && has_all(record);
  if (has_whole_) record["complete"] = true;
  if (plan_.hold == Hold::kYes && (earlier_incomplete_ || !matches(record))) {
    record["complete"] = false;
    record["received"] = {{"out", out_.received}, {"err", err_.received}};
    if (wire::text_or(record, "reason").empty()) record["reason"] = "output_differs";
  }
  finished_ = true;
  record_ = record;
  observer_.ended(index_, record);
  fail_point(FailPoint::kClientEndTold);
}

void Attachment::on_end() {
  // Without an end record before it: logs of what is there so far.
  finished_ = true;
  if (remote_ != nullptr) remote_->session().end(stream_);
  if (remote_ != nullptr) remote_->flush();
  unbind();
  hooks_.on_finished(*this);
}

void Attachment::on_reset(const Error& error) {
  remote_ = nullptr;
  if (!finished_) hooks_.on_broken(*this, error);
}

void Attachment::on_credit(std::uint64_t limit) {
  if (stdin_ready_ && limit >= wire::kInitialWindow)
    stdin_acknowledged_ = std::max(stdin_acknowledged_, stdin_base_ + limit - wire::kInitialWindow);
  pump_stdin();
  hooks_.on_stdin_taken();
}

void Attachment::send_signal(const wire::Map& map) {
  if (finished_) return;
  if (remote_ == nullptr) {  // between two streams: the next one takes it along
    keep_unsent(unsent_, map);
    return;
  }
  remote_->session().send_signal(stream_, map);
  remote_->flush();
}

void Attachment::pump_stdin() {
  if (source_ == nullptr || remote_ == nullptr || !stdin_ready_ || stdin_ended_ || finished_)
    return;
  wire::Session& session = remote_->session();
  bool any = false;
  while (true) {
    const std::uint64_t credit = std::min<std::uint64_t>(session.sendable(stream_), wire::kMaxData);
    const ByteSpan bytes =
        credit == 0 ? ByteSpan{} : source_->at(stdin_sent_ - stdin_origin_, credit);
    if (bytes.empty()) break;
    session.send_data(stream_, wire::Channel::kIn,
                      wire::make_frame(wire::FrameType::kData, stream_, bytes));
    stdin_sent_ += bytes.size();
    any = true;
    fail_point(FailPoint::kClientStdinSent);
  }
  if (source_->finished() && stdin_sent_ - stdin_origin_ >= source_->end_offset()) {
    stdin_ended_ = any = true;
    session.end(stream_);
    fail_point(FailPoint::kClientStdinEnded);
  }
  if (any) remote_->flush();
}

}  // namespace rexec::client
