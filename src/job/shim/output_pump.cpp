// See output_pump.hpp.
#include "src/job/shim/output_pump.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/base/fail_point.hpp"

namespace rexec::job {
namespace {

// At most so many reads before other events get a turn and net is told: a flood costs one message
// per 256 KiB.
constexpr int kReadsATurn = 4;
// A pipe that is read full is made larger: fewer switches between the job and the shim. Not of a
// job that is kept close to its reader, for that pipe would run ahead too.
constexpr int kFloodPipe = 256 << 10;
constexpr Nanos kDiskRetry = std::chrono::milliseconds(300);
// What a terminal may still hold; it does not count its bytes reliably.
constexpr std::uint64_t kTerminalQueue = 131072;

// One frame with its header's room. Static, not on the heap: untouched until a job writes, so a
// silent job's shim stays small.
std::uint8_t frame_buffer[kFrameHeader + kMaxFrameData];

}  // namespace

OutputPump::OutputPump(os::EventLoop& loop, SpoolWriter& spool, Sha256 sha256, Events events)
    : loop_(loop),
      spool_(spool),
      events_(std::move(events)),
      out_{.channel = Channel::kOut, .digest = StreamDigest(sha256)},
      err_{.channel = Channel::kErr, .digest = StreamDigest(sha256)} {}

OutputPump::~OutputPump() {
  loop_.forget(out_.token);
  loop_.forget(err_.token);
  loop_.cancel(retry_timer_);
}

const StreamDigest& OutputPump::digest(Channel channel) const {
  return channel == Channel::kErr ? err_.digest : out_.digest;
}

void OutputPump::open(Channel channel, os::UniqueFd fd) {
  stream(channel).fd = std::move(fd);
  watch(stream(channel));
}

void OutputPump::watch(Stream& stream) {
  if (!stream.fd || stream.token != 0 || paused_) return;
  stream.token =
      loop_.watch(stream.fd.get(), EPOLLIN, [this, &stream](std::uint32_t) { read_some(stream); });
}

void OutputPump::read_some(Stream& stream) {
  bool any = false;
  for (int i = 0; i < kReadsATurn && stream.fd && !paused_ && read_frame(stream); ++i) any = true;
  take_queued();
  if (any || paused_) events_.progress();
  if (all_closed()) events_.closed();
}

bool OutputPump::read_frame(Stream& stream) {
  const std::size_t room = std::min<std::uint64_t>(kMaxFrameData, stream.left);
  const ssize_t n = room == 0 ? 0 : ::read(stream.fd.get(), frame_buffer + kFrameHeader, room);
  if (n < 0 && (errno == EAGAIN || errno == EINTR) && stream.left == kEverything) return false;
  if (n <= 0) {  // end of file; EIO from a terminal; nothing more of what was queued
    loop_.forget(stream.token);
    if (keeps_ends_ && room == 0) ends_.push_back(std::move(stream.fd));
    close_stream(stream);
    return false;
  }
  const auto size = static_cast<std::size_t>(n);
  if (size == kMaxFrameData && !spool_.paced()) ::fcntl(stream.fd.get(), F_SETPIPE_SZ, kFloodPipe);
  if (stream.left != kEverything) stream.left -= size;
  waiting_ = &stream;
  waiting_size_ = size;
  waiting_since_ = wall_now();
  fail_point(FailPoint::kShimOutputRead);
  return store();
}

Append OutputPump::append_waiting() {
  // However long a full disk or a reader keeps it waiting: it was written when it was read here.
  const auto time = static_cast<std::uint64_t>(waiting_since_.time_since_epoch().count());
  return spool_.append(waiting_->channel, {frame_buffer, kFrameHeader + waiting_size_}, time);
}

// Puts the waiting frame into the spool, or pauses until it can be.
bool OutputPump::store() {
  Append result = gave_up_ ? Append::kDone : append_waiting();
  if (gave_up_) spool_.lose(waiting_->channel, waiting_size_);
  if (result == Append::kReaderBehind && writers_gone_) {
    limit_to_queued();
    result = append_waiting();
  }
  if (result == Append::kDone) {
    waiting_->digest.add({frame_buffer + kFrameHeader, waiting_size_});
    waiting_ = nullptr;
    held_ = {};
    fail_point(FailPoint::kShimOutputAppended);
    return true;
  }
  const bool disk = result == Append::kNoSpace;
  held_ = {disk ? static_cast<std::uint32_t>(spool_.last_error()) : 0, disk ? 0u : 1u};
  pause();
  if (disk) {
    loop_.cancel(retry_timer_);
    retry_timer_ = loop_.after(kDiskRetry, [this] {
      retry_timer_ = 0;
      retry();
    });
  }
  return false;
}

// Level-triggered hang-ups come even without interest in events, so a paused stream is not watched
// at all.
void OutputPump::pause() {
  paused_ = true;
  loop_.forget(out_.token);
  loop_.forget(err_.token);
}

void OutputPump::retry() {
  if (!paused_) return;
  if (waiting_ != nullptr && !store()) return events_.progress();
  resume();
  events_.progress();
  if (all_closed()) events_.closed();
}

void OutputPump::resume() {
  paused_ = false;
  take_queued();
  watch(out_);
  watch(err_);
}

// Without waiting for events: a pipe that somebody keeps open and silent would bring none.
void OutputPump::take_queued() {
  for (Stream* stream : {&out_, &err_})
    while (stream->fd && stream->left != kEverything && !paused_) read_frame(*stream);
}

void OutputPump::close_stream(Stream& stream) {
  loop_.forget(stream.token);
  stream.fd.reset();
}

void OutputPump::close(Channel channel) {
  Stream& closing = stream(channel);
  if (!closing.fd) return;
  close_stream(closing);
  if (waiting_ == &closing) waiting_ = nullptr;  // never counted, so it must not come after the end
  if (all_closed()) events_.closed();
}

// What is left is counted before the quota is lifted, so that it stays bounded by the pipes' size
// even when a stranger has been given the other end and goes on writing.
void OutputPump::limit_to_queued() {
  for (Stream* stream : {&out_, &err_}) {
    if (!stream->fd || stream->left != kEverything) continue;
    int queued = 0;
    const bool counted =
        ::isatty(stream->fd.get()) == 0 && ::ioctl(stream->fd.get(), FIONREAD, &queued) == 0;
    stream->left = counted ? static_cast<std::uint64_t>(queued) : kTerminalQueue;
  }
  spool_.exceed_quota();
}

void OutputPump::give_up() {
  gave_up_ = true;
  loop_.cancel(retry_timer_);
  limit_to_queued();
  // Before what is lost now is counted: the spool ends where that begins.
  spool_.give_back();
  retry();
}

void OutputPump::writers_gone() {
  writers_gone_ = true;
  if (held_.readers != 0) finish_queued();
}

void OutputPump::finish_queued() {
  limit_to_queued();
  if (paused_) return retry();
  take_queued();
  events_.progress();
  if (all_closed()) events_.closed();
}

}  // namespace rexec::job
