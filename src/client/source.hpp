// The client's stdin as one buffered stream of bytes with absolute offsets: read only while
// somebody has room for it, kept until every job that reads it has acknowledged it, so that an
// attachment can go back to where the node is. Changes no flags of the descriptor.
#pragma once

#include <deque>
#include <functional>
#include <optional>

#include "src/base/bytes.hpp"
#include "src/client/readiness.hpp"
#include "src/net/task.hpp"

namespace rexec::client {

class Source {
 public:
  // Borrows `fd`. `on_input` is called after bytes, the end or a failure came.
  Source(const net::Executor& executor, int fd, std::function<void()> on_input);
  ~Source();
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // At the end this key follows, and again, less and less often, whenever the one before it was
  // taken; then the source is never finished.
  void press_at_end(char key) { end_key_ = key; }
  void start();
  // Everything before `offset` is not needed any more.
  void release(std::uint64_t offset);
  // Bytes at `offset`, at most `most`, contiguous; empty at the end of what is there.
  ByteSpan at(std::uint64_t offset, std::size_t most) const;
  std::uint64_t end_offset() const { return end_; }
  bool finished() const { return finished_; }
  // There is no room to read on before more is released.
  bool is_full() const;
  // errno of a read that failed: nothing more comes, but this was not the end, and finished() never
  // comes true. 0: none did.
  int failure() const { return failure_; }
  // A filter sees what is typed before it is kept (the escape of -t); it may erase bytes.
  std::function<void(std::string& bytes)> filter;

 private:
  void wait();
  void read_some();
  void keep(std::string bytes);
  void reach_end();
  void fail_with(int error);
  void press();
  void wait_to_press();

  net::Executor executor_;
  Readiness readiness_;
  std::function<void()> on_input_;
  int fd_;
  const bool is_terminal_;
  bool pollable_ = false;
  bool waiting_ = false;
  bool ended_ = false;  // nothing more can be read; finished_: nothing more comes
  bool finished_ = false;
  int failure_ = 0;
  std::optional<char> end_key_;
  net::Timer next_press_;
  Millis press_after_;
  std::deque<std::pair<std::uint64_t, std::string>> kept_;  // offset of the first byte, bytes
  std::uint64_t released_ = 0;
  std::uint64_t end_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rexec::client
