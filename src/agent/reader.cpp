#include "src/agent/reader.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "src/agent/local_job.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/job/spec/spec.hpp"
#include "src/wire/timed.hpp"

namespace rexec::agent {
namespace {

constexpr std::size_t kMostQueued =
    256 << 10;  // in the session for one stream; the rest stays in the spool
constexpr std::size_t kReadAhead = 256 << 10;
constexpr std::uint64_t kTellEvery = 1 << 20;  // how far a reader moves before the shim hears of it

constexpr std::size_t kMostEarlySignals = 16;

}  // namespace

Result<ReaderOptions> reader_options(const wire::Map& args) {
  constexpr std::uint64_t kHighest = 1ULL << 62;
  ReaderOptions options;
  for (const auto& [key, into] : {std::pair{"out", &options.out}, std::pair{"err", &options.err}}) {
    if (!args.contains(key)) continue;
    auto value = wire::get_u64(args, key, kHighest);
    if (!value) return std::unexpected(value.error());
    *into = *value;
  }
  if (args.contains("in")) {
    auto value = wire::get_u64(args, "in", kHighest);
    if (!value) return std::unexpected(value.error());
    options.in = *value;
  }
  options.wants_stdin = wire::bool_or(args, "stdin", false);
  options.follows = wire::bool_or(args, "follow", true);
  options.holds = wire::bool_or(args, "hold", true);
  options.paces = wire::bool_or(args, "pace", false);
  options.owns = wire::bool_or(args, "owns", false);
  options.times = wire::bool_or(args, "times", false);
  options.window = wire::share_of_window(wire::u64_or(args, "window", wire::kInitialWindow), 1);
  return options;
}

Reader::Reader(std::shared_ptr<net::SessionDriver> driver, wire::StreamId stream,
               ReaderOptions options)
    : driver_(std::move(driver)),
      stream_(stream),
      options_(options),
      spool_(options.out, options.err) {}

void Reader::attach(std::shared_ptr<LocalJob> job) {
  job_ = std::move(job);
  // Begun earlier than the job's stdin is by now: the shim drops what it has.
  stdin_base_ = std::min(options_.in.value_or(job_->stdin_offset()), job_->stdin_offset());
  stdin_next_ = stdin_base_;
  stdin_limit_ = job_->stdin_limit();
  driver_->session().send_event(stream_, {{"t", "attached"},
                                          {"out", options_.out},
                                          {"err", options_.err},
                                          {"in", stdin_base_},
                                          {"times", options_.times},
                                          {"state", job_->ended() ? "final" : "running"}});
  if (job_->pid() != 0) started(job_->pid(), job_->started_ms());
  for (const wire::Map& signal : std::exchange(early_signals_, {})) on_signal(signal);
  // What the shim has already it will not acknowledge once more.
  if (stdin_base_ < job_->stdin_offset())
    driver_->session().grant(stream_, job_->stdin_offset() - stdin_base_ + wire::kInitialWindow);
  send_stdin();
  pump();
}

void Reader::started(std::uint32_t pid, std::uint64_t wall_ms) {
  if (std::exchange(started_told_, true)) return;
  driver_->session().send_event(stream_, {{"t", "started"}, {"pid", pid}, {"wall_ms", wall_ms}});
  driver_->flush_soon();
}

void Reader::pump() {
  if (!job_ || finished_) return;
  bool any = false;
  while (!finished_ && step()) any = true;
  if (any || finished_) driver_->flush_soon();
  if (!finished_) tell_job();
}

void Reader::tell_job() {
  const std::uint64_t safe = safe_offset(job::Channel::kOut) + safe_offset(job::Channel::kErr);
  const std::uint64_t place = spool_.out_offset() + spool_.err_offset();
  const bool waits = job_->waits_for_readers();
  const bool due = safe >= told_safe_ + (waits ? 1 : kTellEvery) ||
                   (job_->paced() && place >= told_place_ + (waits ? 1 : options_.window / 4));
  if (!due) return;
  told_safe_ = safe;
  told_place_ = place;
  job_->reader_moved();
}

std::uint64_t Reader::pace_limit() const {
  const std::uint64_t room = std::max<std::uint64_t>(options_.window / 2, wire::kMaxData);
  return spool_.out_offset() + spool_.err_offset() + room;
}

void Reader::on_credit(std::uint64_t limit) {
  if (limit > wire::kInitialWindow) taken_ = std::max(taken_, limit - wire::kInitialWindow);
  settle();
  pump();
}

// The job is held back, and all there is was sent: now it must be known to the byte what the client
// has. Counting a window as unread would hold a job for ever whose spool keeps less than a window,
// or little more (a small quota, both streams at once, frames of a few bytes).
void Reader::ask() {
  const job::PerStream<std::uint64_t> at{spool_.out_offset(), spool_.err_offset()};
  if (!job_->waits_for_readers() || !options_.holds || asked_.at == at) return;
  asked_ = {sent_, at};
  settle();
  if (settled_ == at) return;
  driver_->session().send_event(stream_, {{"t", "ask"}});
  driver_->flush_soon();
}

void Reader::settle() {
  if (taken_ >= asked_.sent) settled_ = asked_.at;
}

// Sends one piece. False when it has to wait for credit, room or output.
bool Reader::step() {
  static thread_local job::SpoolBuffer staging(kReadAhead);  // of all readers: most are idle
  wire::Session& session = driver_->session();
  if (session.queued(stream_) > kMostQueued) return false;
  // What was given up leaves no gap: the end says why there is nothing.
  const bool is_given_up = job_->is_given_up();
  if (job_->ended() && (spool_.drained() || is_given_up)) {
    finish();
    return false;
  }
  // The credit counts from the largest window there is.
  const std::uint64_t kept_back = wire::kInitialWindow - options_.window;
  const std::uint64_t sendable = session.sendable(stream_);
  const std::uint64_t header = options_.times ? wire::kTimedHeader : 0;
  if (sendable <= kept_back + header) return false;
  const std::uint64_t credit = std::min<std::uint64_t>(sendable - kept_back, wire::kMaxData);
  auto item = spool_.next(staging, credit - header);
  if (auto* chunk = std::get_if<job::Chunk>(&item)) {
    send(*chunk);
    return true;
  }
  if (auto* gap = std::get_if<job::Gap>(&item)) {
    session.send_event(stream_, {{"t", "gap"},
                                 {"channel", static_cast<int>(gap->channel)},
                                 {"from", gap->from},
                                 {"to", gap->to}});
    return true;
  }
  if (auto* corrupt = std::get_if<job::Corrupt>(&item)) {
    log_error("the spool of a job is damaged",
              {{"job", job_->key().job.text}, {"why", corrupt->message}});
    session.reset(stream_,
                  {Code::kIncomplete, "the output on the node is damaged: " + corrupt->message,
                   "see: rexec job show " + job_->key().job.text});
    finished_ = true;
    return false;
  }
  if (!options_.follows || (job_->ended() && spool_.drained()))
    finish();
  else
    ask();
  return false;
}

// The room before a chunk, where its header in the spool was, takes the header of a timed piece.
void Reader::send(const job::Chunk& chunk) {
  static_assert(wire::kTimedHeader <= job::kFrameHeader);
  MutableBytes bytes = chunk.data;
  if (options_.times) {
    bytes = {bytes.data() - wire::kTimedHeader, bytes.size() + wire::kTimedHeader};
    wire::store_timed_header(bytes.data(), chunk.time_ms, chunk.data.size());
  }
  sent_ += bytes.size();
  driver_->session().send_data(stream_, static_cast<wire::Channel>(chunk.channel),
                               wire::make_frame(wire::FrameType::kData, stream_, bytes));
  fail_point(FailPoint::kNetOutputSent);
}

void Reader::finish() {
  if (!job_->ended() || job_->next_ms() == 0) return end();
  finished_ = true;
  auto record = nlohmann::json::parse(job_->record(), nullptr, false);
  driver_->session().send_event(stream_, {{"t", "restarting"},
                                          {"record", std::move(record)},
                                          {"attempt", job_->next_key().attempt},
                                          {"at_ms", job_->next_ms()}});
  moves_on_ = options_.follows || !job_->waits_for_next();
  if (!moves_on_) driver_->session().end(stream_);
}

void Reader::move_to(std::shared_ptr<LocalJob> next) {
  driver_->session().send_event(stream_, {{"t", "attempt"}, {"attempt", next->key().attempt}});
  options_.out = options_.err = told_safe_ = told_place_ = 0;
  asked_ = {};
  settled_ = {};
  options_.in.reset();
  spool_ = job::SpoolReader(0, 0);
  started_told_ = finished_ = moves_on_ = awaiting_ = false;
  next->add_reader(shared_from_this());
  driver_->flush_soon();
}

void Reader::stay() {
  moves_on_ = false;
  end();
  driver_->flush_soon();
}

void Reader::end() {
  wire::Session& session = driver_->session();
  if (job_->ended()) {
    auto record = nlohmann::json::parse(job_->record(), nullptr, false);
    wire::Map map{{"t", "end"}, {"record", std::move(record)}};
    if (wire::Map why = job_->given_up_map(); !why.is_null()) map["given_up"] = std::move(why);
    if (map["record"].is_object()) session.send_event(stream_, map);
  }
  session.end(stream_);
  finished_ = true;
  fail_point(FailPoint::kNetEndSent);
}

std::uint64_t Reader::safe_offset(job::Channel channel) const {
  const bool out = channel == job::Channel::kOut;
  const std::uint64_t at = out ? spool_.out_offset() : spool_.err_offset();
  const std::uint64_t known = std::max(out ? options_.out : options_.err,  // where it began
                                       out ? settled_.out : settled_.err);
  return std::max(known, at > options_.window ? at - options_.window : 0);
}

void Reader::held(const std::string& why) {
  if (!job_ || finished_) return;
  // Who comes to read is what such a job waits for.
  const std::string told = why == LocalJob::kUnread && options_.holds ? "" : why;
  if (told == std::exchange(held_, told)) return;
  driver_->session().send_event(stream_, {{"t", "held"}, {"why", told}});
  driver_->flush_soon();
}

void Reader::on_stdin(ByteSpan bytes) {
  if (!options_.wants_stdin) return;
  fail_point(FailPoint::kNetStdinRead);
  stdin_queue_.emplace_back(as_text(bytes));
  send_stdin();
}

void Reader::on_stdin_end() {
  stdin_ended_ = options_.wants_stdin;
  fail_point(FailPoint::kNetStdinEndRead);
  send_stdin();
}

void Reader::send_stdin() {
  if (!job_ || job_->ended() || !job_->takes_stdin()) return;
  while (!stdin_queue_.empty() && stdin_next_ < stdin_limit_) {
    std::string& front = stdin_queue_.front();
    const std::size_t n = std::min<std::size_t>(
        {front.size(), job::link::kMaxStdinBytes, stdin_limit_ - stdin_next_});
    job_->send(job::link::Stdin{stdin_next_, as_bytes(std::string_view(front).substr(0, n))});
    stdin_next_ += n;
    if (n == front.size())
      stdin_queue_.pop_front();
    else
      front.erase(0, n);
  }
  if (stdin_ended_ && stdin_queue_.empty() && !std::exchange(stdin_end_sent_, true))
    job_->send(job::link::StdinEof{std::max(stdin_next_, job_->stdin_offset())});
}

void Reader::stdin_acknowledged(std::uint64_t offset, std::uint64_t limit) {
  if (!options_.wants_stdin) return;
  stdin_limit_ = std::max(stdin_limit_, limit);
  if (offset >= stdin_base_)
    driver_->session().grant(stream_, offset - stdin_base_ + wire::kInitialWindow);
  send_stdin();
  driver_->flush_soon();
}

// What was on its way when the old connection broke is not here any more, but the client still has
// it: it comes back and goes on from where the shim is.
void Reader::shim_is_back(std::uint64_t in_offset, std::uint64_t in_limit) {
  if (!options_.wants_stdin || finished_) return;
  if (in_offset < stdin_next_) {
    driver_->session().reset(stream_, {Code::kLinkLost, "the job's supervisor was away", {}});
    finished_ = true;
    return driver_->flush_soon();
  }
  stdin_end_sent_ = false;
  stdin_acknowledged(in_offset, in_limit);
}

void Reader::on_signal(const wire::Map& map) {
  const std::string type = wire::text_or(map, "t");
  if (type == "ended") {
    client_ended_ = true;
    return;
  }
  if (!job_) {  // its start is still under way: an early Ctrl-C must not get lost
    if (early_signals_.size() < kMostEarlySignals) early_signals_.push_back(map);
    return;
  }
  if (type == "signal") {
    const auto number = static_cast<std::uint32_t>(wire::u64_or(map, "n", 0));
    if (number >= 1 && number <= 64) job_->send(job::link::Signal{number});
  } else if (type == "stop") {
    job_->send(job::link::Stop{grace_of(map)});
  } else if (type == "resize") {
    job_->send(job::link::Resize{static_cast<std::uint16_t>(wire::u64_or(map, "rows", 24)),
                                 static_cast<std::uint16_t>(wire::u64_or(map, "cols", 80))});
  } else if (type == "close") {
    const auto channel = wire::u64_or(map, "channel", 0);
    if (channel == 1 || channel == 2)
      job_->send(job::link::CloseOutput{static_cast<job::Channel>(channel)});
  } else if (type == "leave") {
    job_->send(job::link::Leave{});
  }
}

std::uint64_t grace_of(const wire::Map& order) {
  if (!order.contains("grace_ms")) return job::link::kOwnGrace;
  return std::min(wire::u64_or(order, "grace_ms", job::kDefaultGraceMs), job::kMaxOrderedGraceMs);
}

}  // namespace rexec::agent
