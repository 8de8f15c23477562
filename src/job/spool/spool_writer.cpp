// Writing a spool: see SpoolWriter in spool.hpp. Appends by pwrite at a position of its own, so a
// write that failed halfway is simply overwritten by the next try.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/base/check.hpp"
#include "src/base/fail_point.hpp"
#include "src/job/spool/spool_format.hpp"

namespace rexec::job {
namespace {

constexpr std::uint64_t kSegments = 8;
constexpr std::uint64_t kSmallestSegment = 128u << 10;  // holds at least one largest frame

// A smaller spool makes no difference to a full disk, and its output is worth keeping.
constexpr std::uint64_t kWorthGivingBack = 1u << 20;

int write_at(int fd, ByteSpan bytes, std::uint64_t position) {
  if (const int pretended = fail_errno_at(FailPoint::kSpoolWrite)) return pretended;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return ENOSPC;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    position += static_cast<std::uint64_t>(n);
  }
  return 0;
}

std::uint64_t unseen(std::uint64_t begin, std::uint64_t end, std::uint64_t seen) {
  return end - std::clamp(seen, begin, end);
}

}  // namespace

SpoolOptions spool_options(std::uint64_t quota) {
  return {quota, std::max(quota / kSegments, kSmallestSegment)};
}

Append SpoolWriter::append(Channel channel, MutableBytes frame, std::uint64_t time_ms) {
  check(frame.size() > kFrameHeader && frame.size() <= kFrameHeader + kMaxFrameData, "frame size");
  if (const Append room = make_room(frame.size()); room != Append::kDone) return room;
  last_time_ = std::max(last_time_, time_ms);
  seal_frame(frame, channel, last_time_, segments_.back().index);
  error_ = write_at(file_.get(), frame, position_);
  // A full disk: history that was read already may go, unread bytes never.
  while (error_ == ENOSPC && droppable(Unread::kKeep)) {
    drop_oldest();
    error_ = write_at(file_.get(), frame, position_);
  }
  if (error_ != 0) {
    if (::ftruncate(file_.get(), static_cast<off_t>(position_)) != 0) error_ = errno;
    return Append::kNoSpace;
  }
  position_ += frame.size();
  ++seq_;
  (channel == Channel::kErr ? totals_.err : totals_.out) += frame.size() - kFrameHeader;
  return Append::kDone;
}

void SpoolWriter::set_reader(PerStream<std::uint64_t> offsets) {
  attached_ = true;
  read_ = offsets;
  if (offsets.out <= totals_.out) seen_.out = std::max(seen_.out, offsets.out);
  if (offsets.err <= totals_.err) seen_.err = std::max(seen_.err, offsets.err);
}

bool SpoolWriter::too_far_ahead() const {
  if (!attached_ || ahead_ == 0 || beyond_quota_) return false;
  const auto unread = [](std::uint64_t total, std::uint64_t read) {
    return total - std::min(total, read);
  };
  return unread(totals_.out, read_.out) + unread(totals_.err, read_.err) >= ahead_;
}

Append SpoolWriter::make_room(std::size_t bytes) {
  if (too_far_ahead()) return Append::kReaderBehind;
  if (file_ && position_ + bytes <= options_.segment_size) return Append::kDone;
  while ((segments_.size() + 1) * options_.segment_size > options_.quota && segments_.size() > 1) {
    if (!droppable(attached_ ? Unread::kKeep : Unread::kDrop))
      return beyond_quota_ ? Append::kDone : Append::kReaderBehind;
    drop_oldest();
  }
  return open_segment();
}

PerStream<std::uint64_t> SpoolWriter::end_of_oldest() const {
  if (segments_.size() < 2) return totals_;
  return {segments_[1].out_base, segments_[1].err_base};
}

bool SpoolWriter::droppable(Unread unread) const {
  if (segments_.size() < 2) return false;
  if (unread == Unread::kDrop) return true;
  const auto end = end_of_oldest();
  const auto& reached = attached_ ? read_ : seen_;
  return reached.out >= end.out && reached.err >= end.err;
}

void SpoolWriter::drop_oldest() {
  const auto end = end_of_oldest();
  const SegmentInfo& oldest = segments_.front();
  dropped_.out += unseen(oldest.out_base, end.out, seen_.out);
  dropped_.err += unseen(oldest.err_base, end.err, seen_.err);
  ::unlinkat(directory_, segment_name(oldest.index).c_str(), 0);
  segments_.pop_front();
}

void SpoolWriter::lose(Channel channel, std::uint64_t bytes) {
  (channel == Channel::kErr ? totals_.err : totals_.out) += bytes;
  (channel == Channel::kErr ? dropped_.err : dropped_.out) += bytes;
}

void SpoolWriter::give_back() {
  if ((segments_.size() - (segments_.empty() ? 0 : 1)) * options_.segment_size + position_ <
      kWorthGivingBack)
    return;
  while (!segments_.empty()) drop_oldest();
  file_.reset();
  position_ = 0;
}

Append SpoolWriter::open_segment() {
  const SegmentInfo info{next_index_, totals_.out, totals_.err, seq_};
  const std::string name = segment_name(info.index);
  const int flags = O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
  os::UniqueFd fd(::openat(directory_, name.c_str(), flags, 0600));
  error_ = fd ? write_at(fd.get(), segment_header(info), 0) : errno;
  if (error_ != 0) {
    if (fd) ::unlinkat(directory_, name.c_str(), 0);
    return Append::kNoSpace;
  }
  file_ = std::move(fd);
  ++next_index_;
  segments_.push_back(info);
  position_ = kSegmentHeader;
  fail_point(FailPoint::kShimSegmentOpened);
  return Append::kDone;
}

Result<void> SpoolWriter::sync() {
  for (const SegmentInfo& info : segments_) {
    os::UniqueFd fd(::openat(directory_, segment_name(info.index).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ::fdatasync(fd.get()) != 0) return fail_errno("syncing the spool", errno);
  }
  return {};
}

}  // namespace rexec::job
