// Reading a spool: see SpoolReader in spool.hpp. The only input is descriptors and the limits the
// shim announced; whatever the files hold beyond that, nothing is handed out that its checksum does
// not confirm.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "src/base/check.hpp"
#include "src/job/spool/spool_format.hpp"

namespace rexec::job {
namespace {

template <class Pair>
auto& of(Pair& pair, Channel channel) {
  return channel == Channel::kErr ? pair.err : pair.out;
}

PerStream<std::uint64_t> bases(const SegmentInfo& info) { return {info.out_base, info.err_base}; }

std::uint64_t file_size(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

}  // namespace

void SpoolReader::add_segment(std::shared_ptr<const SpoolSegment> segment) {
  if (newest_ && segment->info.index <= *newest_) return;
  newest_ = segment->info.index;
  spool_size_ = kSegmentHeader;
  segments_.push_back(std::move(segment));
}

void SpoolReader::add_segment(const SegmentInfo& info, os::UniqueFd fd) {
  add_segment(std::make_shared<const SpoolSegment>(SpoolSegment{info, std::move(fd)}));
}

void SpoolReader::keep_newest(std::size_t count) {
  while (segments_.size() > count) {
    segments_.pop_front();
    entered_ = false;
    forget_ahead();
  }
}

void SpoolReader::set_limits(std::uint64_t out_total, std::uint64_t err_total,
                             std::uint64_t spool_size) {
  total_ = {std::max(total_.out, out_total), std::max(total_.err, err_total)};
  spool_size_ = std::max(spool_size_, spool_size);
}

bool SpoolReader::wanted(Channel channel) const { return of(want_, channel) != link::kNoReader; }

bool SpoolReader::drained() const {
  return (!wanted(Channel::kOut) || want_.out >= total_.out) &&
         (!wanted(Channel::kErr) || want_.err >= total_.err);
}

// Skips whole segments the reader is past; kNoReader is past everything.
void SpoolReader::choose_segment() {
  while (segments_.size() > 1 && want_.out >= segments_[1]->info.out_base &&
         want_.err >= segments_[1]->info.err_base)
    segments_.pop_front();
  if (segments_.empty()) return;
  entered_ = true;
  at_ = bases(segments_.front()->info);
  file_pos_ = kSegmentHeader;
  forget_ahead();
}

std::optional<Gap> SpoolReader::gap_before(PerStream<std::uint64_t> offsets) {
  for (const Channel channel : {Channel::kOut, Channel::kErr}) {
    std::uint64_t& want = of(want_, channel);
    const std::uint64_t there = of(offsets, channel);
    if (want >= there) continue;
    return Gap{channel, std::exchange(want, there), there};
  }
  return std::nullopt;
}

// The newest segment is valid as far as the shim said, older ones to their end.
std::uint64_t SpoolReader::valid_end() const {
  if (segments_.size() == 1) return spool_size_;
  return file_size(segments_.front()->fd.get());
}

bool SpoolReader::segment_is_over() const {
  if (segments_.size() < 2) return false;
  // The usual case without a system call; the other is a hole between segments.
  return at_ == bases(segments_[1]->info) || file_pos_ >= valid_end();
}

bool SpoolReader::refuse(std::string why) {
  corrupt_ = "segment " + std::to_string(segments_.front()->info.index) + " at " +
             std::to_string(file_pos_) + ": " + std::move(why);
  return false;
}

bool SpoolReader::load_frame(MutableBytes dst) {
  const auto complete = [&] {
    const std::size_t ahead = ahead_end_ - ahead_begin_;
    if (ahead < kFrameHeader) return false;
    const auto header = parse_frame(dst.data() + ahead_begin_);
    return !header || header->size + kFrameHeader <= ahead;
  };
  if (!complete()) {
    const std::uint64_t end = valid_end();
    forget_ahead();
    if (file_pos_ >= end) return false;
    const std::size_t room = std::min<std::uint64_t>(dst.size(), end - file_pos_);
    const ssize_t n =
        ::pread(segments_.front()->fd.get(), dst.data(), room, static_cast<off_t>(file_pos_));
    if (n < 0) return refuse("read error " + std::to_string(errno));
    ahead_end_ = static_cast<std::size_t>(n);
    if (!complete()) return refuse("a frame is cut short");
  }
  const auto header = parse_frame(dst.data() + ahead_begin_);
  if (!header) return refuse("not a frame");
  const MutableBytes frame = dst.subspan(ahead_begin_, kFrameHeader + header->size);
  return frame_intact(frame, segments_.front()->info.index) || refuse("checksum does not match");
}

// The frame at ahead_begin_, as far as it is wanted; nullopt when none of it is.
std::optional<Chunk> SpoolReader::take(MutableBytes dst, std::size_t max_data) {
  const FrameHeader header = *parse_frame(dst.data() + ahead_begin_);
  std::uint64_t& at = of(at_, header.channel);
  std::uint64_t& want = of(want_, header.channel);
  const std::uint64_t end = at + header.size;
  std::optional<Chunk> chunk;
  if (want < end) {
    const std::size_t size = std::min<std::uint64_t>(end - want, max_data);
    const std::size_t skip = kFrameHeader + static_cast<std::size_t>(want - at);
    chunk = Chunk{header.channel, want, dst.subspan(ahead_begin_ + skip, size), header.time_ms};
    want += size;
  }
  if (want < end) {  // the rest comes from the file again: its headroom is part of this chunk
    forget_ahead();
    return chunk;
  }
  at = end;
  file_pos_ += kFrameHeader + header.size;
  ahead_begin_ += kFrameHeader + header.size;
  return chunk;
}

SpoolItem SpoolReader::next(SpoolBuffer& buffer, std::size_t max_data) {
  const MutableBytes dst = buffer.bytes();
  check(dst.size() >= kMinBuffer && max_data > 0, "spool read buffer");
  if (&buffer != ahead_in_ || buffer.filled_by_ != this) forget_ahead();
  ahead_in_ = &buffer;
  buffer.filled_by_ = this;
  while (corrupt_.empty()) {
    if (!entered_) choose_segment();
    if (entered_) {
      if (auto gap = gap_before(at_)) return *gap;
      if (segment_is_over()) {
        segments_.pop_front();
        entered_ = false;
        continue;
      }
      if (load_frame(dst)) {
        if (auto chunk = take(dst, max_data)) return *chunk;
        continue;
      }
      if (!corrupt_.empty()) break;
    }
    if (!finished_) return Wait{};
    if (auto gap = gap_before(total_)) return *gap;
    return Wait{};
  }
  return Corrupt{corrupt_};
}

Result<void> load_finished(SpoolReader& reader, std::vector<os::UniqueFd> fds,
                           const EndRecord& record) {
  std::uint64_t size = kSegmentHeader;
  for (auto& fd : fds) {
    auto info = read_segment_info(fd.get());
    if (!info) return std::unexpected(info.error());
    size = file_size(fd.get());
    reader.add_segment(*info, std::move(fd));
  }
  reader.set_limits(record.bytes.out, record.bytes.err, size);
  reader.finish();
  return {};
}

}  // namespace rexec::job
