#include "src/client/connect.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "src/base/file.hpp"
#include "src/base/ids.hpp"
#include "src/base/text.hpp"
#include "src/base/version.hpp"
#include "src/client/persist.hpp"
#include "src/pki/csr.hpp"
#include "src/pki/renew.hpp"

namespace rexec::client {
namespace {

std::string read_ticket(const std::string& path) {
  auto ticket = read_secret_file(path);
  return ticket ? *ticket : std::string();
}

// A certificate that no controller takes any more, not even to renew it: said here, with both
// clocks, because the controller tells a stranger nothing. Whether the CA signed it is for the
// controller to say.
Result<void> check_own(const std::optional<pki::Identity>& own, const std::string& context) {
  if (!own) return {};
  const auto valid = pki::check_validity(*own, wall_now(), pki::Accept::kExpiredToo);
  if (valid) return {};
  return fail(Code::kExpired, "your certificate for \"" + context + "\": " + valid.error().message,
              "sign in again: rexec login rx1_…");
}

// The dialler does not know that the controller is one of this machine.
Error point_home(Error error, const std::string& data) {
  if (error.code == Code::kControllerDown && !data.empty() && ::access(data.c_str(), F_OK) == 0)
    error.hint = "is it running? rexec controller status --data " + shell_quoted(data);
  return error;
}

// When the certificate is to be renewed, beside the time of the file that this was read from: to
// look costs a few microseconds, to parse the certificate a millisecond, at the end of each
// command.
std::string note_of(const std::string& directory, WallTime due) {
  struct stat info{};
  if (::stat((directory + "/cert.der").c_str(), &info) != 0) return {};
  return std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec) + " " +
         std::to_string(due.time_since_epoch().count());
}

// Until when the certificate is known to be fresh; the epoch when that is not known.
WallTime fresh_until(const std::string& directory) {
  const auto note = read_file(directory + "/renew-at");
  if (!note) return {};
  const std::size_t space = std::min(note->find(' '), note->size());
  std::int64_t due = 0;
  std::from_chars(note->data() + std::min(space + 1, note->size()), note->data() + note->size(),
                  due);
  const WallTime then{Millis{due}};
  return *note == note_of(directory, then) ? then : WallTime{};
}

void note_as_fresh(const std::string& directory, WallTime due) {
  static_cast<void>(write_file(directory + "/renew-at", note_of(directory, due), 0600));
}

// Unsynced: a lost ticket costs a full handshake and nothing else, two fsyncs would cost each
// command a millisecond. One that is young still resumes (the controller keeps them good for two
// hours).
void keep_ticket(const std::string& path, const std::string& ticket) {
  struct stat info{};
  constexpr time_t kYoung = 1800;
  if (::stat(path.c_str(), &info) == 0 && ::time(nullptr) - info.st_mtime < kYoung) return;
  const std::string temporary = path + "." + std::to_string(::getpid());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const bool whole =
      ::write(fd, ticket.data(), ticket.size()) == static_cast<ssize_t>(ticket.size());
  ::close(fd);
  if (!whole || ::rename(temporary.c_str(), path.c_str()) != 0) ::unlink(temporary.c_str());
}

}  // namespace

struct Connector::State {
  Paths paths;
  ContextEntry context;
  std::string directory;
  net::Credentials credentials;
  std::optional<net::TlsContext> tls;  // made at the first dial: the kept connection needs none
  Millis timeout{10'000};
  std::string ticket;
  bool ticket_saved = false;
  bool keeper_started = false;
  WallTime fresh_until;  // read when the credentials are, or would be
  ConnectOptions options;
};

Connector::Connector(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connector::~Connector() = default;
Connector::Connector(Connector&&) noexcept = default;
Connector& Connector::operator=(Connector&&) noexcept = default;

Result<Connector> Connector::load(const ConnectOptions& options) {
  auto state = std::make_unique<State>();
  auto paths = find_paths(options.config_file);
  if (!paths) return std::unexpected(paths.error());
  auto file = ContextFile::load(*paths);
  if (!file) return std::unexpected(file.error());
  auto context = file->choose(options.context);
  if (!context) return std::unexpected(context.error());
  state->directory = file->directory(context->name);
  state->paths = std::move(*paths);
  state->context = std::move(*context);
  state->timeout = options.timeout;
  state->options = options;
  return Connector(std::move(state));
}

net::Task<Result<std::unique_ptr<net::Transport>>> Connector::dial(net::Patience patience,
                                                                   Millis most) {
  State& state = *state_;
  const bool kept = persist_wanted(state.context);
  if (kept) {
    auto lent = co_await borrow(state.directory);
    if (lent) co_return std::move(lent);
  }
  auto transport = co_await dial_directly(patience, most);
  if (transport && kept && !std::exchange(state.keeper_started, true)) {
    ConnectOptions options = state.options;
    options.context = state.context.name;
    start_keeper(options);
  }
  co_return transport;
}

net::Task<Result<std::unique_ptr<net::Transport>>> Connector::dial_directly(net::Patience patience,
                                                                            Millis most) {
  State& state = *state_;
  if (!state.tls) {
    auto credentials = load_credentials(state.directory);
    if (!credentials) co_return std::unexpected(credentials.error());
    state.credentials = std::move(*credentials);
    state.ticket = read_ticket(state.directory + "/ticket");
    state.fresh_until = fresh_until(state.directory);
    const bool fresh = wall_now() < state.fresh_until;
    auto tls = net::TlsContext::client(state.credentials, fresh && !state.ticket.empty()
                                                              ? net::Load::kWhenNeeded
                                                              : net::Load::kNow);
    if (!tls)
      co_return fail(Code::kNotSignedIn,
                     "the credentials of context \"" + state.context.name +
                         "\" are damaged: " + tls.error().message,
                     "sign in again: rexec login rx1_…");
    const auto own = check_own(tls->own(), state.context.name);
    if (!own) co_return std::unexpected(own.error());
    state.tls = std::move(*tls);
    state.tls->on_ticket([&state](std::string ticket) {
      state.ticket = std::move(ticket);
      if (std::exchange(state.ticket_saved, true)) return;
      keep_ticket(state.directory + "/ticket", state.ticket);
    });
  }
  net::DialOptions dial_options{state.context.addresses, std::min(state.timeout, most),
                                state.ticket, patience};
  auto transport = co_await net::dial(*state.tls, std::move(dial_options));
  if (!transport) co_return std::unexpected(point_home(transport.error(), state.context.data));
  // A ticket that did not resume is of a controller that has restarted: make way for a new one.
  if (!(*transport)->resumed()) ::unlink((state.directory + "/ticket").c_str());
  co_return std::move(*transport);
}

wire::Map Connector::hello() const {
  return {{"role", "user"},
          {"software", std::string(build_version().version)},
          {"wall_ms", wall_now().time_since_epoch().count()}};
}

const ContextEntry& Connector::context() const { return state_->context; }
const Paths& Connector::paths() const { return state_->paths; }
std::string Connector::context_directory() const { return state_->directory; }

net::Task<> Connector::renew_if_due(Remote& remote) {
  State& state = *state_;
  const bool is_lent = state.credentials.key.empty();  // they were not needed to dial
  if (is_lent) state.fresh_until = fresh_until(state.directory);
  if (wall_now() < state.fresh_until) co_return;
  if (is_lent) {
    auto credentials = load_credentials(state.directory);
    if (!credentials) co_return;
    state.credentials = std::move(*credentials);
  }
  auto certificate = pki::parse_certificate(state.credentials.certificate);
  if (!certificate) co_return;
  auto identity = pki::parse_identity(certificate->get());
  if (!identity) co_return;
  const WallTime due = pki::renew_at(*identity, 0.5);
  if (wall_now() < due) {
    note_as_fresh(state.directory, due);
    state.fresh_until = due;
    co_return;
  }
  auto key = pki::Key::parse(state.credentials.key);
  if (!key) co_return;
  auto csr = pki::make_csr(*key);
  if (!csr) co_return;
  wire::Map args{{"csr", wire::bin(*csr)}};
  auto answer = co_await remote.call("renew", std::move(args));
  if (!answer) co_return;
  net::Credentials renewed = state.credentials;
  renewed.certificate = wire::bin_or(*answer, "certificate");
  if (!pki::parse_certificate(renewed.certificate)) co_return;
  if (save_credentials(state.directory, renewed)) state.credentials = std::move(renewed);
  ::unlink((state.directory + "/ticket").c_str());  // it speaks for the old certificate
}

}  // namespace rexec::client
