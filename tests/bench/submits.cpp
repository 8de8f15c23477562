// How fast detached jobs are made durable, and what years of finished ones cost. `prepare DATA
// COUNT DIR` writes a node, a user and COUNT finished jobs while the controller is down; `submit
// ADDRESS COUNT SESSIONS DIR` connects a node that ends each job at once and submits COUNT jobs
// from SESSIONS sessions of the user, 64 under way in each; prints the jobs acknowledged a second
// (each after its commit) and the jobs ended a second, as JSON.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "src/base/file.hpp"
#include "src/job/spec/spec.hpp"
#include "src/net/listener.hpp"
#include "src/net/session_driver.hpp"
#include "src/net/tls.hpp"
#include "src/pki/authority.hpp"
#include "src/store/engine/store.hpp"
#include "tests/bench/must.hpp"

namespace {

using namespace rexec;

constexpr int kUnderWay = 64;

store::CertificateRow make_identity(const pki::Authority& authority, pki::Role role,
                                    const std::string& id, const std::string& base) {
  const pki::Key key = pki::Key::generate();
  auto issued = must(authority.issue(key.get(), {role, id, wall_now(), pki::kUserLifetime}));
  must_do(write_file(base + ".key", key.encode(pki::Encoding::kDer), 0600));
  must_do(write_file(base + ".crt", issued.der, 0600));
  return store::certificate_row(issued, wall_now());
}

store::JobRow finished_job(int number, const UserId& owner) {
  const std::string text = std::to_string(number % 100);
  store::JobRow job;
  job.id = {random_id('j')};
  job.node = {"n-" + std::string(12, '0')};
  job.node_name = "past" + text;
  job.owner = owner;
  job.owner_name = "loader";
  job.summary = "make -j8 -C /srv/build/" + text + " all check";
  job.spec_hash = std::string(62, 'a') + text;
  job.request = random_id('q') + random_id('q') + "0000";
  job.state = number % 50 == 0 ? "lost" : "exited";
  job.created_ms = wall_now().time_since_epoch().count() - 2'000'000'000 + number;
  job.started_ms = job.created_ms + 5;
  job.ended_ms = job.created_ms + 500;
  job.record =
      R"({"node":"past","job":")" + job.id.text +
      R"(","outcome":"exited","code":0,"signal":0,"oom":false,)"
      R"("bytes":{"out":12345,"err":0},"xxh128":{"out":"0123456789abcdef0123456789abcdef",)"
      R"("err":"99aa06d3014798d86001c324468d497f"},"complete":true,"reason":"",)"
      R"("wall_s":0.495,"cpu_s":0.4,"max_rss":123456})";
  job.ticket = "k1_" + std::string(200, 'c');
  job.mode = store::JobMode::kDetached;
  return job;
}

int prepare(const std::string& data, int count, const std::string& directory) {
  auto authority = must(pki::Authority::load(data));
  auto store = must(store::Store::open({data, {}, {}}));
  must_do(make_directories(directory, 0700));
  must_do(
      write_file(directory + "/ca.der", pki::encode_certificate(authority.certificate()), 0600));
  const std::string node = random_id('n');
  const UserId user{random_id('u')};
  const auto node_row = make_identity(authority, pki::Role::kNode, node, directory + "/node");
  const auto user_row = make_identity(authority, pki::Role::kUser, user.text, directory + "/user");
  must_do(store->run_now([&](store::Database& db) {
    store::insert_certificate(db, node_row);
    store::insert_certificate(db, user_row);
    store::insert_node(db, {{node}, "instant", "{}", node_row.serial, wall_now(), "", {}});
    store::insert_user(db, {user, "loader", store::UserRole::kUser, wall_now(), {}});
  }));
  for (int done = 0; done < count; done += 10'000) {
    must_do(store->run_now([&](store::Database& db) {
      for (int i = done; i < std::min(count, done + 10'000); ++i)
        store::put_job(db, finished_job(i, user));
    }));
  }
  return 0;
}

// A session of ours with the controller; what happens on it is the derived class's.
class Peer : public net::SessionHandler {
 public:
  void connect(asio::io_context& context, const std::string& address, const std::string& directory,
               const std::string& name, wire::Map hello) {
    const auto [host, port] = must(net::split_address(address));
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    ::inet_pton(AF_INET, host.c_str(), &to.sin_addr);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
      give_up(name + " cannot connect: " + std::strerror(errno));
    const std::string base = directory + "/" + name;
    tls_ = must(
        net::TlsContext::client({must(read_file(directory + "/ca.der")),
                                 must(read_file(base + ".crt")), must(read_file(base + ".key"))}));
    auto transport = net::TlsTransport::connect(*tls_, fd);
    for (net::Io status; (status = transport->handshake()) != net::Io::kDone;) {
      if (status == net::Io::kFailed) give_up("handshake: " + transport->failure());
      pollfd ready{fd, static_cast<short>(status == net::Io::kWantRead ? POLLIN : POLLOUT), 0};
      ::poll(&ready, 1, 5000);
    }
    wire::SessionOptions options;
    options.max_streams = 65'536;
    options.now = BootClock::now();
    driver_ =
        std::make_shared<net::SessionDriver>(context.get_executor(), std::move(transport), options);
    session().send_hello(std::move(hello));
    begin();
    driver_->start(*this);
  }
  void on_event(wire::Event event) override {
    if (auto* closed = std::get_if<wire::event::Closed>(&event))
      give_up("closed: " + closed->error.message);
    handle(event);
    driver_->flush_soon();
  }

 protected:
  virtual void begin() = 0;
  virtual void handle(const wire::Event& event) = 0;
  wire::Session& session() { return driver_->session(); }

 private:
  std::optional<net::TlsContext> tls_;
  std::shared_ptr<net::SessionDriver> driver_;
};

class Node final : public Peer {
 public:
  bool online = false;
  int ended = 0;

 private:
  void begin() override {
    session().request("reconcile", {{"jobs", wire::Map::array()}, {"last", true}});
  }
  void handle(const wire::Event& event) override {
    if (auto* open = std::get_if<wire::event::Opened>(&event)) {
      jobs_[open->stream] = open->args;
    } else if (auto* end = std::get_if<wire::event::Ended>(&event)) {
      session().send_event(end->stream, {{"t", "started"}});
      session().end(end->stream);
      report(jobs_.extract(end->stream).mapped());
    } else if (std::holds_alternative<wire::event::Response>(event)) {
      if (std::exchange(online, true)) ++ended;
    }
  }
  void report(const wire::Map& start) {
    const wire::Map record{{"node", "instant"},   {"job", start["job"]},
                           {"outcome", "exited"}, {"code", 0},
                           {"signal", 0},         {"bytes", {{"out", 0}, {"err", 0}}},
                           {"complete", true},    {"wall_s", 0.001}};
    session().request("job.report", {{"job", start["job"]},
                                     {"attempt", start["attempt"]},
                                     {"state", "final"},
                                     {"ticket", start["ticket"]},
                                     {"started_ms", wall_now().time_since_epoch().count()},
                                     {"record", record}});
  }
  std::unordered_map<wire::StreamId, wire::Map> jobs_;
};

class Submitter final : public Peer {
 public:
  Submitter(int count, std::string spec) : left_(count), spec_(std::move(spec)) {}
  int accepted = 0;

 private:
  void begin() override {
    for (int i = 0; i < kUnderWay; ++i) submit();
  }
  void submit() {
    if (left_-- <= 0) return;
    const wire::StreamId stream = session().open("submit", {{"request", random_request()},
                                                            {"targets", "instant"},
                                                            {"mode", "detached"},
                                                            {"spec_size", spec_.size()},
                                                            {"stdin", false}});
    session().send_data(
        stream, wire::Channel::kSpec,
        wire::make_frame(wire::FrameType::kData, stream, as_bytes(std::string_view(spec_))));
    session().end(stream);
  }
  static std::string random_request() {
    std::array<std::uint8_t, 16> bytes{};
    random_bytes(bytes);
    return to_hex(bytes);
  }
  void handle(const wire::Event& event) override {
    if (auto* reset = std::get_if<wire::event::Reset>(&event)) give_up(reset->error.message);
    if (!std::holds_alternative<wire::event::Ended>(event)) return;
    ++accepted;
    submit();
  }
  int left_;
  std::string spec_;
};

int submit(const std::string& address, int count, int sessions, const std::string& directory) {
  asio::io_context context(1);
  Node node;
  node.connect(context, address, directory, "node", {{"role", "node"}, {"software", "bench"}});
  while (!node.online) context.run_one();
  job::JobSpec spec;
  spec.argv = {"make", "-j8", "all"};
  const std::string encoded = must(job::encode_spec(spec));
  std::vector<std::unique_ptr<Submitter>> users;
  const BootTime began = BootClock::now();
  for (int i = 0; i < sessions; ++i) {
    users.push_back(std::make_unique<Submitter>(count / sessions, encoded));
    users.back()->connect(context, address, directory, "user", {{"role", "user"}});
  }
  const auto accepted = [&users] {
    int sum = 0;
    for (const auto& user : users) sum += user->accepted;
    return sum;
  };
  const auto rate = [&](int jobs) {
    return jobs / std::chrono::duration<double>(BootClock::now() - began).count();
  };
  const int all = count / sessions * sessions;
  while (accepted() < all) context.run_one();
  const double acknowledged = rate(all);
  while (node.ended < all) context.run_one();
  std::printf("{\"acknowledged_per_s\": %.0f, \"ended_per_s\": %.0f}\n", acknowledged, rate(all));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "prepare") == 0)
    return prepare(argv[2], std::atoi(argv[3]), argv[4]);
  if (argc == 6 && std::strcmp(argv[1], "submit") == 0)
    return submit(argv[2], std::atoi(argv[3]), std::atoi(argv[4]), argv[5]);
  std::fputs("usage: bench_submits prepare DATA COUNT DIR | submit ADDRESS COUNT SESSIONS DIR\n",
             stderr);
  return 2;
}
