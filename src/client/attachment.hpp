// One job of a run, as this client has received it so far: offsets, digests, credit, what of stdin
// was sent. It lives longer than any stream or session: after a cut it attaches anew where it
// stands. It speaks on the stream that bind() gave it; run.* decides when.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "src/client/run.hpp"
#include "src/job/spec/record.hpp"
#include "src/wire/timed.hpp"

struct XXH3_state_s;

namespace rexec::client {

// What waits for a stream: of the terminal's sizes the newest, and of all the newest 16, so that a
// storm of signals fills no memory and keeps no stop from the job.
void keep_unsent(std::vector<wire::Map>& unsent, const wire::Map& signal);

class Attachment final : public StreamHandler {
 public:
  struct Hooks {
    std::function<void(Attachment&)> on_attached;  // the node has answered
    std::function<void()> on_stdin_taken;          // stdin_acknowledged() has moved
    std::function<void(Attachment&)>
        on_finished;  // the end record is here, or it is over without one
    std::function<void(Attachment&, const Error&)> on_broken;  // the stream is gone before the end
    std::function<void(Attachment&, const Error&)> on_away;    // its node is; the stream waits
  };
  Attachment(std::size_t index, JobInfo info, const RunPlan& plan, Observer& observer,
             Source* source, Hooks hooks);
  ~Attachment() override;
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  // The stream the controller opened with the submit, or one opened by reattach().
  void bind(Remote& remote, wire::StreamId stream);
  // Opens an attach stream at the own offsets.
  void reattach(Remote& remote);
  bool bound() const { return remote_ != nullptr; }
  bool finished() const { return finished_; }
  // Its output, more than is kept for a week anyway, came here as the job wrote it.
  bool has_much_whole() const {
    return has_whole_ && out_.received + err_.received > job::kSmallOutput;
  }
  bool was_started() const { return started_; }
  const std::optional<wire::Map>& record() const { return record_; }
  const JobInfo& info() const { return info_; }
  std::size_t index() const { return index_; }
  void set_ticket(const std::string& ticket) { info_.ticket = ticket; }
  // What the node may send ahead of what was taken here; from the next stream on.
  void set_window(std::uint64_t window) { window_ = window; }
  // Gives the job up: no stream, no record. The node does as --on-disconnect says.
  void abandon();
  // It ends here for an error that no second try mends.
  void fail(const Error& error);

  void send_signal(const wire::Map& map);
  void pump_stdin();
  // Raises the credit if the observer has room.
  void grant();
  // stdin before this offset will not be asked for again.
  std::uint64_t stdin_acknowledged() const {
    if (finished_) return ~std::uint64_t{0};
    return stdin_acknowledged_ - std::min(stdin_acknowledged_, stdin_origin_);
  }

  void on_data(wire::Channel channel, ByteSpan bytes) override;
  void on_event(const wire::Map& map) override;
  void on_end() override;
  void on_reset(const Error& error) override;
  void on_credit(std::uint64_t limit) override;

 private:
  struct Side {
    std::uint64_t received = 0;  // stream offset of the next byte
    bool whole = true;           // received from byte 0 without a gap
    XXH3_state_s* hash = nullptr;
    wire::TimedPieces pieces = {};
  };
  void take(wire::Channel channel, Side& to, ByteSpan bytes, std::optional<WallTime> written);
  void handle_attached(const wire::Map& map);
  void handle_gap(const wire::Map& map);
  void handle_end(wire::Map record, const wire::Map& end);
  bool misses_some(const wire::Map& record, const wire::Map& end) const;
  void handle_restarting(const wire::Map& map);
  void handle_attempt(const wire::Map& map);
  wire::Map record_in(const wire::Map& map) const;
  bool matches(const wire::Map& record) const;
  bool has_all(const wire::Map& record) const;
  void unbind();
  Side* side(wire::Channel channel);

  std::size_t index_;
  JobInfo info_;
  const RunPlan& plan_;
  Observer& observer_;
  Source* source_;
  Hooks hooks_;
  Remote* remote_ = nullptr;
  wire::StreamId stream_ = 0;
  std::uint64_t stream_received_ = 0;  // DATA bytes on this stream
  std::uint64_t granted_ = wire::kInitialWindow;
  std::uint64_t window_ = wire::kInitialWindow;
  bool timed_ = false;  // what comes has its times: asked for, and the node knows them
  bool asked_ = false;  // the node waits to hear of the last byte that came
  Side out_;
  Side err_;
  std::uint64_t stdin_origin_ = 0;  // stdin offset of the source's first byte: 0 but for attach
  std::uint64_t stdin_base_ = 0;    // stdin offset of this stream's first byte
  std::uint64_t stdin_sent_ = 0;    // stdin offset of the next byte to send
  std::uint64_t stdin_acknowledged_ = 0;
  bool stdin_ready_ = false;       // the base is known
  bool stdin_ended_ = false;       // END was sent on this stream
  std::vector<wire::Map> unsent_;  // signals from a time without a stream
  std::uint32_t announced_ = 0;    // the attempt whose coming was told
  bool has_whole_ = false;
  bool earlier_incomplete_ = false;  // an attempt before this one
  bool started_ = false;
  bool finished_ = false;
  std::optional<wire::Map> record_;
};

}  // namespace rexec::client
