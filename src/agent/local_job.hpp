// One attempt on this node as the net process sees it: the socket to its shim, the spool's
// segments, the readers, and in the end the record. It holds no output: readers read the spool; and
// no descriptor but the socket while there are none, because a node may have thousands of jobs with
// sixteen segments each. Lives while the job runs, has readers, or waits to be reported.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/agent/message_socket.hpp"
#include "src/agent/reader.hpp"
#include "src/job/ipc/link.hpp"
#include "src/job/spec/record_map.hpp"
#include "src/job/spool/spool.hpp"

namespace rexec::agent {

class LocalJob : public std::enable_shared_from_this<LocalJob> {
 public:
  struct Events {
    std::function<void(LocalJob&)> on_started;
    std::function<void(LocalJob&)> on_ended;  // the record is here
    std::function<void(LocalJob&)>
        on_shim_lost;  // the socket closed without an end: ask the spawner again
    // Somebody wants to read what nobody read: ask the spawner for a new channel, or what is there.
    std::function<void(LocalJob&)> on_spool_wanted;
    // A person ends a job that might go on with another attempt.
    std::function<void(LocalJob&, const job::link::Stop&)> on_halt;
    std::function<void(LocalJob&)> on_held;  // held_why() changed
    // The client of an attempt that had ended before: it is that of the next one.
    std::function<void(LocalJob&)> on_client_end;
  };
  LocalJob(const net::Executor& executor, AttemptKey key, Events events);

  // From the spawner.
  void use_channel(const job::link::ShimChannel& channel, os::UniqueFd socket);
  void use_finished(const job::link::Finished& finished, std::vector<os::UniqueFd> segments);
  // Accepted, and then not to be had: it never ran, or its directory is gone. `node` is for the
  // record.
  void use_refusal(const Error& error, const std::string& node);
  // It ended, and what was wanted of its output is not there any more: readers meet a gap.
  void spool_is_gone();

  void add_reader(std::shared_ptr<Reader> reader);
  void remove_reader(const Reader& reader, job::link::Gone how);
  // The client that ran it, of which no reader is left here.
  void client_ended();
  bool is_without_client() const { return client_ended_; }
  bool has_readers() const { return !readers_.empty(); }
  // Readers that keep the job: its client, and whoever is attached. A log's reader does not.
  std::uint32_t holders() const {
    return static_cast<std::uint32_t>(std::ranges::count_if(
        readers_, [](const auto& reader) { return reader->options().holds; }));
  }

  // While the connection to the shim is being made anew, what was asked for (stop, signal, close,
  // leave) is kept for it: an answered stop must not get lost. Offsets, sizes and stdin are not,
  // their senders repeat them.
  void send(const job::link::ToShim& message);
  // The shim has said on this connection where the job's stdin is.
  bool takes_stdin() const { return shim_ && met_; }
  // Some reader watches: all of them tell often where they are.
  bool paced() const { return paced_; }
  // It is held back until a reader has read more.
  bool waits_for_readers() const { return waits_for_readers_; }
  // Why it is held back until a person does something: kUnread, or what is wrong with the disk.
  static constexpr std::string_view kUnread = "unread";
  const std::string& held_why() const { return held_why_; }
  bool connected() const { return shim_ != nullptr; }
  // When the next attempt begins (wall clock), link::kNextIsThere once it has, 0 when none follows.
  std::uint64_t next_ms() const { return next_ms_; }
  bool waits_for_next() const { return next_ms_ > job::link::kNextIsThere; }
  void next_is_there();
  AttemptKey next_key() const { return {key_.job, key_.attempt + 1}; }
  // A reader moved on; tells the shim now and then.
  void reader_moved();

  const AttemptKey& key() const { return key_; }
  const job::link::Meta& meta() const { return meta_; }
  bool ended() const { return !record_.empty(); }
  const std::string& record() const { return record_; }
  bool is_given_up() const { return given_up_ != job::GivenUp::kNot; }
  // Why its output is not there any more, and since when; null when it is there.
  wire::Map given_up_map() const { return job::given_up_map(given_up_, given_up_ms_); }
  std::uint32_t pid() const { return pid_; }
  std::uint64_t started_ms() const { return started_ms_; }
  std::uint64_t stdin_offset() const { return stdin_offset_; }
  std::uint64_t stdin_limit() const { return stdin_limit_; }
  bool reported = false;  // the controller has acknowledged the record

 private:
  static constexpr std::uint32_t kUntold = ~std::uint32_t{0};
  void on_message(ByteSpan bytes, std::vector<os::UniqueFd> fds);
  void on_closed();
  void drop_connection();
  void keep(const job::link::ToShim& message);
  void handle(const job::link::State& state);
  void handle(const job::link::Segment& segment, os::UniqueFd fd);
  void handle(const job::link::Output& output);
  void handle(const job::link::StdinAck& ack);
  void handle(const job::link::Started& started);
  void handle(const job::link::End& end);
  void handle(const job::link::Held& held);
  void end_with(std::string record);
  bool halts(const job::link::ToShim& message) const;
  void become_readable();
  void give_spool(Reader& reader);
  void pump_readers();
  void tell_readers();
  void rest();

  net::Executor executor_;
  AttemptKey key_;
  Events events_;
  job::link::Meta meta_;
  std::unique_ptr<MessageSocket> shim_;
  std::uint8_t shim_version_ = 1;  // the shim may be of an older binary, or of a newer one
  std::string held_why_;
  bool waits_for_readers_ = false;
  bool met_ = false;  // its State came over this connection
  std::optional<job::link::Stop> kept_stop_;
  std::vector<job::link::ToShim> kept_;
  std::vector<std::shared_ptr<const job::SpoolSegment>> segments_;
  std::uint64_t out_total_ = 0;
  std::uint64_t err_total_ = 0;
  std::uint64_t spool_size_ = 0;
  std::uint64_t stdin_offset_ = 0;
  std::uint64_t stdin_limit_ = 0;
  std::uint32_t pid_ = 0;
  std::uint64_t started_ms_ = 0;
  std::string record_;
  std::uint64_t next_ms_ = 0;
  job::GivenUp given_up_ = job::GivenUp::kNot;
  std::uint64_t given_up_ms_ = 0;
  bool started_told_ = false;
  // What net holds of the spool.
  enum class Spool : std::uint8_t {
    kComing,   // the shim is about to tell what there is
    kHere,     // readers read it
    kDropped,  // nobody read it, so its descriptors were not kept
    kAsked,    // somebody wants to, and the spawner was asked for it
  };
  Spool spool_ = Spool::kComing;
  bool paced_ = false;
  std::vector<std::shared_ptr<Reader>> readers_;
  std::uint32_t told_readers_ = kUntold;
  job::link::Gone gone_ = job::link::Gone::kUnknown;  // how the last reader went
  bool client_ended_ = false;                         // until it attaches again
  net::Timer lonely_;  // a job that was started for a reader who has not come yet
};

}  // namespace rexec::agent
