// A run from the client's side: submits, attaches, follows through lost links and restarts, until
// every job has its end record. It owns the offsets (PROTOCOL.md: the reader alone keeps them).
// Bytes and news go to an Observer, which is cli/'s; exit codes are cli/line/exit_status's.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/client/connect.hpp"
#include "src/client/plan.hpp"
#include "src/client/source.hpp"

namespace rexec::client {

// What became of a job's output here, at its end.
enum class PassedOn { kNotYet, kAll, kNever };

class Observer {
 public:
  virtual ~Observer() = default;
  // All jobs, in the order of the nodes; `run` is empty for one.
  virtual void accepted(const std::string& run, const std::vector<JobInfo>& jobs) = 0;
  virtual void started(std::size_t job) = 0;
  // `written`: when the job wrote them, if that was asked for and the node says it.
  virtual void output(std::size_t job, wire::Channel channel, ByteSpan bytes,
                      std::optional<WallTime> written) = 0;
  // Bytes [from, to) of a stream are gone for good.
  virtual void gap(std::size_t job, wire::Channel channel, std::uint64_t from,
                   std::uint64_t to) = 0;
  // `record` is the end record; its "complete" is false when the digests or counts differ from what
  // was received.
  virtual void ended(std::size_t job, const wire::Map& record) = 0;
  // An attempt ended so, and the job goes on with another one at that time (wall clock, ms).
  virtual void restarting(std::size_t job, const wire::Map& record, std::uint32_t attempt,
                          std::uint64_t at_ms) {
    static_cast<void>(job), static_cast<void>(record);
    static_cast<void>(attempt), static_cast<void>(at_ms);
  }
  // What comes from here on is that attempt's output, from its byte 0.
  virtual void next_attempt(std::size_t job, std::uint32_t attempt) {
    static_cast<void>(job), static_cast<void>(attempt);
  }
  // The node's disk is full, or the like: the job waits. Empty: it goes on.
  virtual void held(std::size_t job, const std::string& why) {
    static_cast<void>(job), static_cast<void>(why);
  }
  // It has not started yet, and why; empty: now it is on its way to the node.
  virtual void waiting(std::size_t job, const std::string& why) {
    static_cast<void>(job), static_cast<void>(why);
  }
  // The link went or came back; for a line on stderr, at most once each.
  virtual void link(bool up, const std::string& why) = 0;
  // Of several jobs: this one's node is away, or back; and it was away for longer than
  // RunPlan::reconnect, so that the job has no record here and the others are followed without it.
  virtual void node_link(std::size_t job, bool up, const std::string& why) {
    static_cast<void>(job), static_cast<void>(up), static_cast<void>(why);
  }
  virtual void lost(std::size_t job, const Error& error) {
    static_cast<void>(job), static_cast<void>(error);
  }
  // Bytes taken but not yet written out that keep this job from more: from 256 KiB on none are
  // asked for. Call Run::drained() when it fell.
  virtual std::size_t backlog_of(std::size_t job) const = 0;
  // Whether all that came of it is where it was wanted, so that its node need not keep it.
  virtual PassedOn passed_on(std::size_t job) const {
    static_cast<void>(job);
    return PassedOn::kNever;
  }
  // stdin could not be read on (errno): the job gets no end of it, because that was none.
  virtual void input_failed(int error) { static_cast<void>(error); }
  // Of several jobs these take no more of stdin, and the others get none until they do. Once.
  virtual void input_waits(const std::vector<std::size_t>& jobs) { static_cast<void>(jobs); }
  // stdin bytes before they are sent, to find the escape sequence of -t; may erase.
  virtual void typed(std::string& bytes) { static_cast<void>(bytes); }
};

// Why a run came back.
struct RunResult {
  std::optional<Error> error;  // refused, or could not start: nothing ran (or `lost` is set)
  // The link (of one job also its node) was away for longer than RunPlan::reconnect, or the user
  // left.
  bool lost = false;
  bool reached = false;  // a controller has taken a connection, and perhaps the submit
};

class Run {
 public:
  Run(asio::io_context& context, Connector& connector, RunPlan plan, Observer& observer);
  ~Run();
  // Until every job ended, something final went wrong, or leave().
  net::Task<RunResult> run();

  // From signal handlers of the reactor; do nothing before the jobs are accepted but are
  // remembered.
  void signal(int number);
  void stop();  // with the job's own grace
  void resize(int rows, int cols);
  void close_output(wire::Channel channel);  // nobody reads it here any more
  void leave();                              // the jobs go on, on purpose
  void abandon();                            // come back at once with lost set; nothing is sent
  void end();                                // the same for a process that ends: its jobs do, too
  void drained();                            // the observer's backlog fell

  // Whether a controller has ever taken a connection.
  bool has_reached() const;
  // Asks for a sign of life, after a signal was sent, and when the last byte of one came.
  void ping();
  BootTime last_heard() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rexec::client
