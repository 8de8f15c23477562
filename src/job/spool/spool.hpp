// A job's output on disk: segments of frames, written by the shim, read by net through descriptors
// it was handed. Segments are never rewritten, only appended to and at last unlinked, so a
// descriptor stays good for as long as somebody holds it.
//
// Segment `out.NNNNNN`: 64 bytes of header (magic, version, index, bases, crc32c), then frames:
//   crc32c u32 · length-1 u16 · channel u8 · 0 u8 · time u64 (ms since 1970, never falling) · data,
//   all big-endian.
// The crc covers the rest of the frame's header and the data and is seeded with the segment's
// index. A frame header is as long as a wire frame header on purpose: net reads frames into a
// buffer and writes the wire header over the spool's, in place.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"
#include "src/job/ipc/link.hpp"
#include "src/job/spec/record.hpp"
#include "src/os/fd.hpp"

namespace rexec::job {

inline constexpr std::size_t kFrameHeader = 16;
inline constexpr std::size_t kMaxFrameData = 65536;
inline constexpr std::size_t kSegmentHeader = 64;

struct SegmentInfo {
  std::uint32_t index = 0;
  std::uint64_t out_base = 0;  // stream offsets of the first byte in it
  std::uint64_t err_base = 0;
  std::uint64_t seq_base = 0;  // frames before it
  bool operator==(const SegmentInfo&) const = default;
};
// Reads and checks a segment's header: for the descriptors of Finished. kIncomplete when it is
// damaged.
Result<SegmentInfo> read_segment_info(int fd);
std::string segment_name(std::uint32_t index);

struct SpoolSegment {
  SegmentInfo info;
  os::UniqueFd fd;
};

// ---- reading ----
struct Chunk {
  Channel channel = Channel::kOut;
  std::uint64_t offset = 0;  // of data[0] in its stream
  MutableBytes data;  // the kFrameHeader bytes before data.data() are the caller's to overwrite
  std::uint64_t time_ms = 0;
};
struct Gap {  // these bytes are gone (dropped, or behind the oldest segment)
  Channel channel = Channel::kOut;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};
struct Wait {};  // nothing more until the limits or segments grow
struct Corrupt {
  std::string message;
};
using SpoolItem = std::variant<Chunk, Gap, Wait, Corrupt>;

class SpoolReader;

// Where readers read to: frames are read ahead into it, many with one system call. Several readers
// may take turns with one buffer; a reader that finds another one's bytes in it reads its own
// again.
class SpoolBuffer {
 public:
  explicit SpoolBuffer(std::size_t size) : bytes_(size) {}
  MutableBytes bytes() { return bytes_.writable(); }

 private:
  friend class SpoolReader;
  Buffer bytes_;
  const SpoolReader* filled_by_ = nullptr;
};

// One reader's place. Several readers may share segments. After Corrupt it stays corrupt.
class SpoolReader {
 public:
  // The smallest buffer; a larger one (256 KiB) is filled by one pread and served frame by frame.
  static constexpr std::size_t kMinBuffer = kFrameHeader + kMaxFrameData;

  // link::kNoReader as an offset: that stream is not wanted.
  SpoolReader(std::uint64_t out_offset, std::uint64_t err_offset) : want_{out_offset, err_offset} {}

  // In order of index; one that is already known is ignored.
  void add_segment(std::shared_ptr<const SpoolSegment> segment);
  void add_segment(const SegmentInfo& info, os::UniqueFd fd);
  // Gives up older ones, read or not: what was unread there is a Gap. A job that waits for no
  // reader would otherwise fill the disk with files that only a slow reader holds.
  void keep_newest(std::size_t count);
  // From link::Output: totals of both streams, valid bytes of the newest segment.
  void set_limits(std::uint64_t out_total, std::uint64_t err_total, std::uint64_t spool_size);
  // The job is over and no segment will follow: what is missing below the limits is a Gap.
  void finish() { finished_ = true; }
  // The next piece, of at most max_data bytes (≥ 1). It lies in `buffer` and is good until somebody
  // reads into that again.
  SpoolItem next(SpoolBuffer& buffer, std::size_t max_data = kMaxFrameData);
  std::uint64_t out_offset() const { return want_.out; }
  std::uint64_t err_offset() const { return want_.err; }
  // Everything up to the limits was handed out.
  bool drained() const;

 private:
  bool wanted(Channel channel) const;
  void choose_segment();
  bool segment_is_over() const;
  std::optional<Gap> gap_before(PerStream<std::uint64_t> offsets);
  std::uint64_t valid_end() const;
  // Makes the frame at file_pos_ complete in dst, checked; false: nothing there yet, or corrupt_ is
  // set.
  bool load_frame(MutableBytes dst);
  bool refuse(std::string why);
  std::optional<Chunk> take(MutableBytes dst, std::size_t max_data);
  void forget_ahead() { ahead_begin_ = ahead_end_ = 0; }

  PerStream<std::uint64_t> want_;   // next byte to hand out
  PerStream<std::uint64_t> at_;     // stream offsets at file_pos_
  PerStream<std::uint64_t> total_;  // limits
  std::deque<std::shared_ptr<const SpoolSegment>> segments_;
  bool entered_ = false;          // segments_.front() is being read
  std::uint64_t spool_size_ = 0;  // of segments_.back()
  std::uint64_t file_pos_ = 0;    // of the frame at ahead_begin_
  const SpoolBuffer* ahead_in_ = nullptr;
  std::size_t ahead_begin_ = 0;
  std::size_t ahead_end_ = 0;
  bool finished_ = false;
  std::optional<std::uint32_t> newest_;
  std::string corrupt_;
};

// For the descriptors of link::Finished: adds them all and sets the limits from the newest one's
// size and the record.
Result<void> load_finished(SpoolReader& reader, std::vector<os::UniqueFd> fds,
                           const EndRecord& record);

// ---- writing (the shim) and recovery (the spawner) ----
struct SpoolOptions {
  std::uint64_t quota = 64u << 20;
  std::uint64_t segment_size = 8u << 20;
};
// Eight segments to the quota, at least 128 KiB each.
SpoolOptions spool_options(std::uint64_t quota);

enum class Append {
  kDone,
  kReaderBehind,  // an attached reader has not read enough: the quota is full, or its pace is kept
  kNoSpace,       // errno in last_error(); try again later
};

class SpoolWriter {
 public:
  SpoolWriter(int directory_fd, SpoolOptions options)
      : directory_(directory_fd), options_(options) {}
  // `frame` is kFrameHeader free bytes and then the data. All of it is in the spool after kDone and
  // none of it otherwise: keep it and come again.
  Append append(Channel channel, MutableBytes frame, std::uint64_t time_ms);
  // Offsets below which readers need nothing; nobody attached: release_readers().
  void set_reader(PerStream<std::uint64_t> offsets);
  void release_readers() { attached_ = false; }
  // How far the attached reader may be behind before append() says so; 0: as far as the quota goes.
  void set_ahead(std::uint64_t bytes) { ahead_ = bytes; }
  bool paced() const { return attached_ && ahead_ != 0; }
  // From here on append() is never behind a reader: the newest segment grows instead. For the end,
  // when what can still come is what the pipes hold.
  void exceed_quota() { beyond_quota_ = true; }
  // Output that was read and for which there is no place: counted, not kept. Nothing can be
  // appended after it.
  void lose(Channel channel, std::uint64_t bytes);
  // Gives the disk back what is kept, when that is enough to matter; what nobody has read is
  // counted as dropped.
  void give_back();
  // fdatasync of what is there.
  Result<void> sync();
  const std::deque<SegmentInfo>& segments() const { return segments_; }
  PerStream<std::uint64_t> totals() const { return totals_; }
  PerStream<std::uint64_t> dropped() const { return dropped_; }
  std::uint64_t seq() const { return seq_; }
  std::uint64_t spool_size() const { return position_; }
  int last_error() const { return error_; }

 private:
  Append make_room(std::size_t bytes);
  bool too_far_ahead() const;
  enum class Unread { kKeep, kDrop };
  bool droppable(Unread unread) const;
  PerStream<std::uint64_t> end_of_oldest() const;
  void drop_oldest();
  Append open_segment();

  int directory_;
  SpoolOptions options_;
  os::UniqueFd file_;
  std::deque<SegmentInfo> segments_;
  PerStream<std::uint64_t> totals_;
  PerStream<std::uint64_t> dropped_;
  PerStream<std::uint64_t> read_;  // the slowest reader
  PerStream<std::uint64_t> seen_;  // the furthest that the slowest reader ever was
  std::uint64_t ahead_ = 0;
  bool attached_ = false;
  bool beyond_quota_ = false;
  std::uint64_t seq_ = 0;
  std::uint64_t position_ = 0;
  std::uint64_t last_time_ = 0;
  std::uint32_t next_index_ = 0;
  int error_ = 0;
};

// What a spool directory holds after its writer is gone: valid frames are counted, a torn tail is
// cut off the file and counted.
struct SpoolScan {
  std::vector<SegmentInfo> segments;
  PerStream<std::uint64_t> totals;
  std::uint64_t torn_bytes = 0;
};
Result<SpoolScan> recover_spool(int directory_fd);
// Read-only descriptors of all segments, oldest first, at most 100 (the newest).
std::vector<os::UniqueFd> open_segments(int directory_fd);

}  // namespace rexec::job
