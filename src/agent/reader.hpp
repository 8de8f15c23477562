// One attach stream on the node: reads the job's spool from the reader's offsets and sends it
// within the reader's credit, passes stdin and signals on to the shim. All places of a reader are
// here; the job (local_job) tells it when there is more.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/job/spool.hpp"
#include "src/net/session_driver.hpp"

namespace rexec::agent {

class LocalJob;

struct ReaderOptions {
  std::uint64_t out = 0;
  std::uint64_t err = 0;
  bool wants_stdin = false;
  std::optional<std::uint64_t> in;  // where the stream's stdin begins; else where the job's is
  bool follows = true;              // false: ends where the output ends now
  bool holds = true;                // its unread bytes hold the job back
  bool paces = false;               // somebody watches: the job runs little ahead of what is shown
  std::uint64_t window = wire::kInitialWindow;  // sent ahead of what the reader took; at most that
};
Result<ReaderOptions> reader_options(const wire::Map& args);

class Reader : public std::enable_shared_from_this<Reader> {
 public:
  Reader(std::shared_ptr<net::SessionDriver> driver, wire::StreamId stream, ReaderOptions options);

  // Called by the job once it can be read: sends `attached`.
  void attach(std::shared_ptr<LocalJob> job);
  // More output, more credit, or room in the queue.
  void pump();
  void started(std::uint32_t pid, std::uint64_t wall_ms);

  void on_stdin(ByteSpan bytes);
  void on_stdin_end();
  void on_signal(const wire::Map& map);
  // The job waits because its output cannot be kept; empty: it goes on.
  void held(const std::string& why);
  void stdin_acknowledged(std::uint64_t offset, std::uint64_t limit);
  // Over a new connection, with where the job's stdin is by now.
  void shim_is_back(std::uint64_t in_offset, std::uint64_t in_limit);

  // Bytes this reader will not ask for again, even after its link is cut: what was sent less one
  // window.
  std::uint64_t safe_offset(job::Channel channel) const;
  const ReaderOptions& options() const { return options_; }
  wire::StreamId stream() const { return stream_; }
  job::SpoolReader& spool() { return spool_; }
  bool finished() const { return finished_; }
  // Its attempt has ended and another follows: the stream goes on with that one.
  bool moves_on() const { return moves_on_; }
  // True once an end: then somebody waits for the next attempt on its behalf.
  bool awaits() { return moves_on_ && !std::exchange(awaiting_, true); }
  void move_to(std::shared_ptr<LocalJob> next);
  // It did not follow after all.
  void stay();
  const std::shared_ptr<LocalJob>& job() const { return job_; }

 private:
  bool step();
  void send_stdin();
  void finish();
  void end();

  std::shared_ptr<net::SessionDriver> driver_;
  wire::StreamId stream_;
  ReaderOptions options_;
  job::SpoolReader spool_;
  std::shared_ptr<LocalJob> job_;
  std::uint64_t told_out_ = 0;
  std::uint64_t told_err_ = 0;
  // stdin that came from the client and that the shim has no room for yet
  std::deque<std::string> stdin_queue_;
  std::uint64_t stdin_next_ = 0;   // offset of the first queued byte
  std::uint64_t stdin_base_ = 0;   // offset of the stream's first byte
  std::uint64_t stdin_limit_ = 0;  // what the shim takes now
  std::vector<wire::Map> early_signals_;
  bool stdin_ended_ = false;
  bool stdin_end_sent_ = false;
  bool started_told_ = false;
  bool finished_ = false;
  bool moves_on_ = false;
  bool awaiting_ = false;
};

}  // namespace rexec::agent
