// The controller's end of one node's session: takes its reconciliation and reports, sends starts
// and opens attach streams. What they mean for the job is jobs.* and hub.*; whose bytes go where is
// router.*.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "src/controller/core/node_words.hpp"
#include "src/controller/state/hub.hpp"
#include "src/controller/state/router.hpp"
#include "src/net/listener.hpp"

namespace rexec::controller {

class AgentSession final : public net::SessionHandler,
                           public Member,
                           public std::enable_shared_from_this<AgentSession> {
 public:
  // Lives until the session is closed.
  static void accept(Hub& hub, net::Arrival arrival);

  // The node takes so many starts at once, and so many bytes of them; the next when one is over.
  static constexpr std::size_t kStartsUnderWay = 128;
  static constexpr std::size_t kBytesUnderWay = 8 << 20;
  bool has_room() const {
    return uploads_.size() < kStartsUnderWay && upload_bytes_ < kBytesUnderWay;
  }
  // Sends the job's spec; the node refuses a second start by itself.
  void start(Job& job);
  // Of a start whose spec is still on its way: it ends there.
  void withdraw(const AttemptKey& key);
  // Links a client's stream to a new attach stream here.
  struct Reader {
    Router& router;
    wire::StreamId stream;
    Router::Kept kept;        // for as long as it reads
    Router::Refused refused;  // see Router
  };
  void attach(const Job& job, wire::Map args, Reader reader);
  // `answered` may be called with kLinkLost.
  void request(std::string_view verb, wire::Map args,
               std::function<void(const Result<wire::Map>&)> answered);
  const std::string& source() const { return source_; }
  // Which run of the agent this is; the same whenever that run connects.
  const std::string& instance() const { return instance_; }

  const pki::Identity& identity() const override { return identity_; }
  void end(const Error& reason) override;
  void on_event(wire::Event event) override;

 private:
  struct Upload {
    std::shared_ptr<const KeptSpec> spec;
    std::size_t sent = 0;
    AttemptKey key;
  };
  AgentSession(Hub& hub, std::shared_ptr<net::SessionDriver> driver, pki::Identity identity,
               std::string source);
  void hello(const wire::Map& map);
  void answer(wire::RequestId id, const std::string& verb, const wire::Map& args);
  enum class Page { kMore, kLast };
  void reconcile(wire::RequestId id, const wire::Map& args);
  void compare(wire::RequestId id, const wire::Map& args);
  void take_page(wire::RequestId id, const wire::Map& args);
  struct Named {  // by one page of a reconciliation
    std::vector<JobId> jobs;
    std::vector<JobReport> reports;
  };
  void reconcile_known(wire::RequestId id, const Named& named, Page page);
  void settle(std::optional<JobOrder> after);
  AttemptKey forget_upload(wire::StreamId stream);
  // The job a report is about, adopted if need be. nullptr: not ours.
  Job* reported(const JobReport& report);
  // True when it is about a job that was removed.
  bool dismiss(const JobReport& report);
  // False when the report is not to be acknowledged.
  bool apply(const JobReport& report, std::move_only_function<void(Result<void>)> done);
  bool bound(wire::Event& event);
  bool bound_message(wire::event::Event& message);
  void warn(NodeNews kind, std::string_view message, std::initializer_list<LogField> fields);
  void pump(wire::StreamId stream);
  void refused(const AttemptKey& key, const Error& error);
  void closed(const Error& error);
  // What the node says, and what comes of it later, counts while this holds.
  bool serves() const { return open_ && driver_->session().serves(); }

  Hub& hub_;
  std::shared_ptr<net::SessionDriver> driver_;
  std::shared_ptr<AgentSession> self_;
  pki::Identity identity_;
  std::string source_;
  std::string instance_;
  NodeId node_;
  Router router_;
  std::unordered_map<wire::StreamId, Upload> uploads_;
  std::size_t upload_bytes_ = 0;  // of their specs
  std::unordered_map<wire::RequestId, std::function<void(const Result<wire::Map>&)>> answers_;
  std::unordered_map<wire::StreamId, job::KnownAttempt> read_;  // attach streams; also ended ones
  // Those that the node named while reconciling, of the jobs that we know to be there.
  std::set<JobId> named_;
  std::size_t page_entries_ = 0;    // of the reconciliation so far
  bool settled_ = false;            // its last page has come
  std::set<AttemptKey> dismissed_;  // that it was asked to forget and has not answered
  bool behind_ = false;             // the node saw more than our database has
  bool open_ = true;
};

}  // namespace rexec::controller
