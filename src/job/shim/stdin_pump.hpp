// The job's stdin: takes each byte exactly once by its offset, whatever connection it came over,
// and passes it on as fast as the job reads. Part of the shim. It holds at most kStdinWindow bytes;
// who sends more than the limit allows breaks the protocol.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "src/base/bytes.hpp"
#include "src/job/ipc/link.hpp"
#include "src/os/epoll.hpp"

namespace rexec::job {

// With a pipe's 64 KiB behind it this makes the 256 KiB of PROTOCOL.md.
inline constexpr std::uint64_t kStdinWindow = 192u << 10;

class StdinPump {
 public:
  // `changed` is called when ack() has changed by itself (the job has read).
  StdinPump(os::EventLoop& loop, std::function<void()> changed);
  ~StdinPump();

  enum class Kind : std::uint8_t { kPipe, kTerminal };
  // A non-blocking write end. Without one, bytes are accepted and thrown away.
  void open(os::UniqueFd fd, Kind kind);
  // False: a hole or a byte beyond the limit: the sender's connection is to be closed. What comes
  // after the end is dropped: a second reader cannot know of it.
  bool data(std::uint64_t offset, ByteSpan bytes);
  bool end(std::uint64_t offset);
  // The job is gone.
  void close();
  link::StdinAck ack() const;

 private:
  void push();
  void wait_writable();
  void push_end();

  os::EventLoop& loop_;
  std::function<void()> changed_;
  os::UniqueFd fd_;
  Kind kind_ = Kind::kPipe;
  os::EventLoop::Token token_ = 0;
  std::uint64_t accepted_ = 0;
  std::string pending_;  // accepted and not yet written
  std::optional<std::uint64_t> end_;
};

}  // namespace rexec::job
