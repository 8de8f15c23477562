// One attach stream on the node: reads the job's spool from the reader's offsets and sends it
// within the reader's credit, passes stdin and signals on to the shim. All places of a reader are
// here; the job (local_job) tells it when there is more.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/job/spool/spool.hpp"
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
  bool owns = false;                // the client that runs the job, not one that looks at it
  bool times = false;               // each piece of output with the time at which it was written
  std::uint64_t window = wire::kInitialWindow;  // sent ahead of what the reader took; at most that
};
Result<ReaderOptions> reader_options(const wire::Map& args);

class Reader : public std::enable_shared_from_this<Reader> {
 public:
  Reader(std::shared_ptr<net::SessionDriver> driver, wire::StreamId stream, ReaderOptions options);

  // Called by the job once it can be read: sends `attached`.
  void attach(std::shared_ptr<LocalJob> job);
  // More output, or room in the queue.
  void pump();
  // More credit, which also says what the client has.
  void on_credit(std::uint64_t limit);
  void started(std::uint32_t pid, std::uint64_t wall_ms);

  void on_stdin(ByteSpan bytes);
  void on_stdin_end();
  void on_signal(const wire::Map& map);
  // The job waits because its output cannot be kept, or nobody reads it (LocalJob::kUnread); empty:
  // it goes on.
  void held(const std::string& why);
  void stdin_acknowledged(std::uint64_t offset, std::uint64_t limit);
  // Over a new connection, with where the job's stdin is by now.
  void shim_is_back(std::uint64_t in_offset, std::uint64_t in_limit);

  // Bytes this reader will not ask for again, even after its link is cut: what was sent less one
  // window, or all of it once the client was asked and has said so.
  std::uint64_t safe_offset(job::Channel channel) const;
  // How many bytes of both streams a job may have written that is watched here: little more than
  // was sent, which is at most a window more than the client took.
  std::uint64_t pace_limit() const;
  // Its client said that its process ends.
  bool client_ended() const { return client_ended_; }
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
  // Once it can be read.
  const std::shared_ptr<LocalJob>& job() const { return job_; }
  // The job among whose readers it is, whether that can be read or not.
  std::shared_ptr<LocalJob> place() const { return place_.lock(); }
  void place_at(std::weak_ptr<LocalJob> job) { place_ = std::move(job); }

 private:
  // DATA bytes of this stream, and where in the job's output they end.
  struct Place {
    std::uint64_t sent = 0;
    job::PerStream<std::uint64_t> at;
  };
  bool step();
  void send(const job::Chunk& chunk);
  void ask();
  void settle();
  void tell_job();
  void send_stdin();
  void finish();
  void end();

  std::shared_ptr<net::SessionDriver> driver_;
  wire::StreamId stream_;
  ReaderOptions options_;
  job::SpoolReader spool_;
  std::shared_ptr<LocalJob> job_;
  std::weak_ptr<LocalJob> place_;
  std::string held_;                       // what the client was told of why the job waits
  std::uint64_t sent_ = 0;                 // DATA bytes on this stream
  std::uint64_t taken_ = 0;                // of these, what the client's credit says it has
  Place asked_;                            // where the client was asked for exactly that
  job::PerStream<std::uint64_t> settled_;  // and what it had according to its last answer
  std::uint64_t told_safe_ = 0;            // both safe offsets, as the shim last heard of them
  std::uint64_t told_place_ = 0;           // and both places
  // stdin that came from the client and that the shim has no room for yet
  std::deque<std::string> stdin_queue_;
  std::uint64_t stdin_next_ = 0;   // offset of the first queued byte
  std::uint64_t stdin_base_ = 0;   // offset of the stream's first byte
  std::uint64_t stdin_limit_ = 0;  // what the shim takes now
  std::vector<wire::Map> early_signals_;
  bool client_ended_ = false;
  bool stdin_ended_ = false;
  bool stdin_end_sent_ = false;
  bool started_told_ = false;
  bool finished_ = false;
  bool moves_on_ = false;
  bool awaiting_ = false;
};

// Of an order to stop: what it names, bounded, else the job's own.
std::uint64_t grace_of(const wire::Map& order);

}  // namespace rexec::agent
