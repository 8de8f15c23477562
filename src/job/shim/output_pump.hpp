// The job's output on its way into the spool: reads its pipes (or terminal), counts and digests,
// and stops reading when the spool cannot take more, which is all the flow control a job needs to
// notice. Part of the shim.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "src/base/clock.hpp"
#include "src/job/ipc/link.hpp"
#include "src/job/spec/digest.hpp"
#include "src/job/spool/spool.hpp"
#include "src/os/epoll.hpp"

namespace rexec::job {

class OutputPump {
 public:
  struct Events {
    std::function<void()> progress;  // the spool grew, or held() changed
    std::function<void()> closed;    // nothing is open any more
  };
  OutputPump(os::EventLoop& loop, SpoolWriter& spool, Sha256 sha256, Events events);
  ~OutputPump();

  // A non-blocking read end.
  void open(Channel channel, os::UniqueFd fd);
  // Nobody wants it any more: the job gets SIGPIPE (or a hang-up) when it writes.
  void close(Channel channel);
  // Takes what is in the pipes at this moment and then closes them, whoever still holds the other
  // end. Waits for no reader: what the pipes hold is stored even beyond the quota.
  void finish_queued();
  // From here on a stream that is closed before its writers are gone stays open for take_ends().
  void keep_ends() { keeps_ends_ = true; }
  std::vector<os::UniqueFd> take_ends() { return std::move(ends_); }
  // No process of the job is left to be held back. While the readers keep up the streams are read
  // to their ends; as soon as one is behind, and at once if it is already, finish_queued().
  void writers_gone();
  // The disk is full and nobody will wait for it: what is in the pipes at this moment is read and
  // counted as lost, and what the spool holds of the disk goes too.
  void give_up();
  bool gave_up() const { return gave_up_; }
  // The reader has moved on: try what was held back.
  void retry();
  bool all_closed() const { return !out_.fd && !err_.fd; }
  link::Held held() const { return held_; }
  const StreamDigest& digest(Channel channel) const;

 private:
  static constexpr std::uint64_t kEverything = ~std::uint64_t{0};
  struct Stream {
    Channel channel;
    StreamDigest digest;
    os::UniqueFd fd;
    os::EventLoop::Token token = 0;
    std::uint64_t left = kEverything;  // bytes still to be taken, after finish_queued()
  };
  Stream& stream(Channel channel) { return channel == Channel::kErr ? err_ : out_; }
  void read_some(Stream& stream);
  // One read into the frame buffer and on into the spool; false when the stream has no more now.
  bool read_frame(Stream& stream);
  bool store();
  Append append_waiting();
  void limit_to_queued();
  void pause();
  void resume();
  void take_queued();
  void close_stream(Stream& stream);
  void watch(Stream& stream);

  os::EventLoop& loop_;
  SpoolWriter& spool_;
  Events events_;
  Stream out_, err_;
  link::Held held_;
  Stream* waiting_ = nullptr;     // whose frame is in the buffer and not in the spool
  std::size_t waiting_size_ = 0;  // its data
  WallTime waiting_since_{};
  bool paused_ = false;
  bool writers_gone_ = false;
  bool keeps_ends_ = false;
  bool gave_up_ = false;
  std::vector<os::UniqueFd> ends_;
  os::EventLoop::Token retry_timer_ = 0;
};

}  // namespace rexec::job
