#include "src/controller/server/server.hpp"

#include <sys/resource.h>
#include <unistd.h>


#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/base/version.hpp"
#include "src/controller/server/account.hpp"
#include "src/controller/server/local_socket.hpp"
#include "src/controller/server/setup.hpp"
#include "src/controller/sessions/client_session.hpp"
#include "src/controller/sessions/enrol_session.hpp"
#include "src/controller/state/agent_session.hpp"
#include "src/controller/state/housekeeping.hpp"
#include "src/net/listener.hpp"
#include "src/os/privilege.hpp"
#include "src/os/room.hpp"
#include "src/store/file/data_lock.hpp"

namespace rexec::controller {
namespace {

std::unexpected<Error> report(const Error& error) {
  log_failure(error);
  return std::unexpected(error);
}

void raise_open_files() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

// What must come before the store is opened.
Result<ServerConfig> prepare_process(const ServeOptions& options) {
  log_open("controller", LogLevel::kInfo, options.json_log ? LogFormat::kJson : LogFormat::kText);
  os::harden();
  raise_open_files();
  auto config = load_server_config(options.data_dir);
  if (!config) return config;
  // Not while another one runs there: its files would change their owner under it.
  const auto holder = store::DataLock::holder(options.data_dir);
  if (!holder || *holder != 0) return config;
  if (auto left = leave_root(options.data_dir, config->listen); !left)
    return std::unexpected(left.error());
  return config;
}

void say_ready(int fd, const std::string& listen) {
  if (fd < 0) return;
  const std::string line =
      wire::Map{{"ready", true}, {"listen", listen}, {"pid", ::getpid()}}.dump() + "\n";
  static_cast<void>(!::write(fd, line.data(), line.size()));
  ::close(fd);
}

void welcome(Hub& hub, net::Arrival arrival) {
  const auto& peer = arrival.transport->peer();
  if (!peer) return EnrolSession::accept(hub, std::move(arrival));
  if (peer->role == pki::Role::kUser) return ClientSession::accept(hub, std::move(arrival));
  if (peer->role == pki::Role::kNode) return AgentSession::accept(hub, std::move(arrival));
  log_warn("a controller's certificate dialled in", {{"source", arrival.source}});
}

// Before the store's thread runs.
Hub::Lookups lookups_in(store::Store& store) {
  Hub::Lookups lookups;
  lookups.spec = [&store](const std::string& hash) {
    std::string spec;
    static_cast<void>(store.run_now(
        [&](store::Database& db) { spec = store::find_spec(db, hash).value_or(""); }));
    return spec;
  };
  lookups.spec_bytes = [&store](const std::string& hash) {
    std::uint64_t bytes = 0;
    static_cast<void>(
        store.run_now([&](store::Database& db) { bytes = store::spec_bytes(db, hash); }));
    return bytes;
  };
  lookups.job = [&store](const JobId& id) {
    std::optional<store::JobRow> row;
    static_cast<void>(store.run_now([&](store::Database& db) { row = store::find_job(db, id); }));
    return row;
  };
  return lookups;
}

}  // namespace

Result<void> serve(const ServeOptions& options) {
  auto config = prepare_process(options);
  if (!config) return report(config.error());
  auto store = store::Store::open({options.data_dir, {}, {}});
  if (!store) return report(store.error());
  auto authority = pki::Authority::load(options.data_dir);
  if (!authority) return report(authority.error());
  auto tickets = pki::TicketKey::load_or_make(options.data_dir + "/ticket.key");
  if (!tickets) return report(tickets.error());
  auto credentials = own_credentials(options.data_dir, *authority);
  if (!credentials) return report(credentials.error());
  auto snapshot = (*store)->load_all();
  if (!snapshot) return report(snapshot.error());
  auto tls = net::TlsContext::server(*credentials);
  if (!tls) return report(tls.error());

  asio::io_context context(1);
  Hub hub(context, {**store, std::move(*authority), *tickets, config->addresses});
  hub.load(std::move(*snapshot), lookups_in(**store));
  net::Listener listener(context, *tls, net::limits_of_process,
                         [&](net::Arrival arrival) { welcome(hub, std::move(arrival)); });
  auto listening = listener.listen(config->listen);
  if (!listening) return report(listening.error());
  finish_confinement();  // the store's thread inherits it
  if (auto begun = (*store)->begin_run(hub.epoch()); !begun) return report(begun.error());
  (*store)->start();
  hub.end_jobs_of_gone_nodes();
  Housekeeping housekeeping(hub, config->keep_jobs);
  housekeeping.start();
  hub.ended_jobs().start(ended_limits(os::file_system_bytes(options.data_dir), config->keep_bytes));
  // Without it (no /proc, no room) everything works but a backup from beside.
  auto local = LocalSocket::listen(hub, options.data_dir);
  if (!local)
    log_warn("no backup while this controller runs: its local socket cannot be made",
             {{"why", local.error().message}});
  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&](const asio::error_code& error, int) {
    if (error) return;
    log_info("stopping", {});
    listener.stop();
    context.stop();
  });
  log_info("listening", {{"address", listener.address()},
                         {"cluster", config->cluster},
                         {"version", std::string(build_version().version)}});
  say_ready(options.ready_fd, listener.address());
  fail_point(FailPoint::kControllerListening);
  context.run();
  // Sessions learn why, and what the jobs' rows still need is written, before anything they refer
  // to goes.
  hub.end_all({Code::kLinkLost, "the controller is stopping", {}});
  context.restart();
  const BootTime give_up = BootClock::now() + Millis{500};
  while (hub.session_count() > 0 && BootClock::now() < give_up) context.run_one_for(Millis{20});
  (*store)->stop();
  context.poll();
  return {};
}

Result<wire::Map> local_status(const std::string& data_dir) {
  auto config = load_server_config(data_dir);
  if (!config) return std::unexpected(config.error());
  wire::Map out{{"cluster", config->cluster},
                {"listen", config->listen},
                {"addresses", config->addresses},
                {"data", data_dir},
                {"running", false}};
  const Result<pid_t> holder = store::DataLock::holder(data_dir);
  if (!holder) return std::unexpected(holder.error());
  if (*holder > 0) out["pid"] = *holder;
  out["running"] = *holder != 0;
  return out;
}

}  // namespace rexec::controller
