// The controller's end of one person's session: requests (client_verbs.cpp), submits, attach
// streams. Everything is checked against the certificate's user by policy.hpp; nothing a client
// says about itself counts.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "src/controller/state/policy.hpp"
#include "src/controller/state/router.hpp"
#include "src/controller/verbs/fanout.hpp"
#include "src/controller/verbs/job_listing.hpp"
#include "src/net/listener.hpp"

namespace rexec::controller {

class ClientSession final : public net::SessionHandler,
                            public Member,
                            public std::enable_shared_from_this<ClientSession> {
 public:
  using Respond = std::function<void(const Result<wire::Map>&)>;

  static void accept(Hub& hub, net::Arrival arrival);

  const pki::Identity& identity() const override { return identity_; }
  void end(const Error& reason) override;
  void on_event(wire::Event event) override;
  void on_written() override;

 private:
  struct Upload {
    Share share;  // of its user's kUploads, until it is answered
    Submit submit;
    std::size_t size = 0;  // of all specs
    std::size_t received = 0;
    std::size_t part = 0;  // whose spec comes now
    bool is_detached = false;
    bool resume = false;
    bool pace = false;
    bool times = false;
    std::uint64_t window = 0;  // of all its jobs together
  };
  // What an attach stream asks for; its other arguments are not kept while it waits.
  struct Wanted {
    std::uint64_t out = 0;
    std::uint64_t err = 0;
    std::uint64_t window = 0;
    std::optional<std::uint64_t> attempt;
    bool has_stdin = false;
    bool follows = false;
    bool holds = false;
    bool is_paced = false;
    bool has_times = false;
    bool owns = false;  // the client that runs the job
  };
  // What a submit came to, as far as its client has been told.
  struct Answer {
    Accepted accepted;
    std::size_t told = 0;
    std::size_t opened = 0;  // of those told, whose stream was looked at
    bool opens = false;
    bool pace = false;
    bool times = false;
    std::uint64_t window = 0;
  };
  ClientSession(Hub& hub, std::shared_ptr<net::SessionDriver> driver, pki::Identity identity,
                std::string source);
  // What the person asks, and what comes of it later, counts while this holds.
  bool serves() const { return open_ && driver_->session().serves(); }
  // The same for a new request or stream, for which the person is looked at again.
  bool still_allowed();
  void hello(const wire::Map& map);
  void opened(wire::StreamId stream, const std::string& kind, const wire::Map& args);
  void open_submit(wire::StreamId stream, const wire::Map& args);
  static Wanted read_wanted(const wire::Map& args);
  void open_attach(wire::StreamId stream, const wire::Map& args);
  // After a restart the node may know the job and we not yet: what a ticket of ours says of it.
  using Claims = std::optional<std::pair<JobId, NodeId>>;
  void attach_to(wire::StreamId stream, const Wanted& wanted, const Claims& claims,
                 const Result<std::shared_ptr<Job>>& job);
  void attach_when_online(wire::StreamId stream, const Wanted& wanted, const JobId& job,
                          const NodeId& node);
  bool attach_lost(wire::StreamId stream, const Job& job);
  void end_without_output(wire::StreamId stream, const Job& job);
  void attach_now(wire::StreamId stream, const Wanted& wanted, const std::shared_ptr<Job>& job,
                  Router::Kept kept);
  // What a reader takes of its user's budget, and the window that is left for it.
  Router::Kept keep_window(std::uint64_t& window, Share attachment);
  void spec_data(wire::StreamId stream, ByteSpan bytes);
  // For an answer that comes later: `action(session, answer…)` if this session and its stream are
  // still there then, and what it says goes out.
  template <class Action>
  auto while_open(wire::StreamId stream, Action action) {
    return [weak = weak_from_this(), stream, action](const auto&... answer) {
      const auto self = weak.lock();
      if (!self || !self->serves() || !self->driver_->session().has_stream(stream)) return;
      action(*self, answer...);
      self->driver_->flush_soon();
    };
  }
  // client_submit.cpp
  void submit_complete(wire::StreamId stream);
  void resolve_after(wire::StreamId stream, const std::shared_ptr<Upload>& upload,
                     std::size_t next);
  void submit_when_settled(wire::StreamId stream, const std::shared_ptr<Upload>& upload);
  void submit(wire::StreamId stream, const std::shared_ptr<Upload>& upload);
  void submit_now(wire::StreamId stream, const std::shared_ptr<Upload>& upload);
  void accepted(wire::StreamId stream, const Upload& upload, const Result<Accepted>& result);
  void await_attach(const Accepted& accepted);
  void answer_on();
  void tell_part(wire::StreamId stream, Answer& answer);
  void open_streams(Answer& answer);
  void wait_with(wire::StreamId stream, const Wanted& wanted, Job& job);
  void wait_is_over(wire::StreamId stream, const Wanted& wanted, const JobId& id);
  void stop_waiting(wire::StreamId stream);
  bool signal_waiting(wire::StreamId stream, ByteSpan payload);
  void noticed(const std::string& verb, const wire::Map& args);
  void answer(wire::RequestId id, const std::string& verb, const wire::Map& args);
  void ask_next();
  struct Asked {
    std::string verb;
    wire::Map args;
    Respond respond;
  };
  bool ask(Asked asked);
  void answer_now(const std::string& verb, const wire::Map& args, const Respond& respond);
  // `then` runs when the job is final, unless the session is gone by then, or the wait of the
  // number that comes back is erased. 0: it has run.
  std::uint64_t await_end(const std::shared_ptr<Job>& job, std::function<void()> then);
  void closed(wire::event::By by);

  // client_verbs.cpp and job_verbs.cpp, by subject
  using Verb = void (ClientSession::*)(const wire::Map& args, const Respond& respond);
  static Verb find_verb(const std::string& name);
  // Its answer is made of many rows of the store.
  static bool reads_much(const std::string& verb);
  void whoami(const wire::Map& args, const Respond& respond);
  void status(const wire::Map& args, const Respond& respond);
  void renew_own(const wire::Map& args, const Respond& respond);
  void node_ls(const wire::Map& args, const Respond& respond);
  void node_show(const wire::Map& args, const Respond& respond);
  void node_rm(const wire::Map& args, const Respond& respond);
  void node_wait(const wire::Map& args, const Respond& respond);
  void token_new(const wire::Map& args, const Respond& respond);
  void token_ls(const wire::Map& args, const Respond& respond);
  void token_revoke(const wire::Map& args, const Respond& respond);
  void user_ls(const wire::Map& args, const Respond& respond);
  void user_revoke(const wire::Map& args, const Respond& respond);
  void job_ls(const wire::Map& args, const Respond& respond);
  // The job that args name by "job" or "prefix", or the answer that there is none; this session is
  // kept until then.
  using JobVerb = std::function<void(const std::shared_ptr<Job>& job, const Respond& answer)>;
  void with_job(const wire::Map& args, const Respond& respond, JobVerb verb);
  void job_show(const wire::Map& args, const Respond& respond);
  void add_attempts(const JobId& job, wire::Map map, const Respond& respond);
  void job_wait(const wire::Map& args, const Respond& respond);
  // Of a request that waits for its job's end and for its node, whichever comes first.
  struct JobWait {
    std::shared_ptr<Respond> open;
    std::uint64_t number = 0;  // of what waits for the end
  };
  void wait_for_node(const std::shared_ptr<Job>& job, Millis most, const JobWait& wait);
  void job_stop(const wire::Map& args, const Respond& respond);
  void job_rm(const wire::Map& args, const Respond& respond);
  void job_rerun(const wire::Map& args, const Respond& respond);
  void job_client_ended(const wire::Map& args, const Respond& respond);
  // job_verbs.cpp
  Result<JobQuery> read_query(const wire::Map& args) const;
  void remove(const Job& job, const Respond& respond);
  void rerun(const Job& job, const Respond& respond);
  std::string actor() const;

  Hub& hub_;
  Policy policy_;
  std::shared_ptr<net::SessionDriver> driver_;
  std::shared_ptr<ClientSession> self_;
  pki::Identity identity_;
  std::string source_;
  std::string name_;
  Router router_;
  std::unordered_map<wire::StreamId, Upload> uploads_;
  // Attachments that wait for their node or their job, with the signals that came meanwhile.
  struct Parked {
    Share attachment;
    Wish wish;
    std::vector<wire::Event> signals;
  };
  std::unordered_map<wire::StreamId, Parked> parked_;
  std::deque<Asked> asked_;  // whose turn is not asked for yet
  // What its requests wait for; all of it goes with the session.
  std::unordered_map<std::uint64_t, std::shared_ptr<void>> waits_;
  std::uint64_t next_wait_ = 1;
  Share share_;  // of its user's kSessions
  std::unordered_map<wire::StreamId, Answer> answers_;
  // Those that wait with a job for its start.
  struct Waiter {
    JobId job;
    Dispatcher::WatcherId id = 0;
    bool client_ended = false;
  };
  std::unordered_map<wire::StreamId, Waiter> waiters_;
  std::set<JobId> unattached_;  // submitted here to be attached to, which was not done yet
  bool open_ = true;
};

}  // namespace rexec::controller
