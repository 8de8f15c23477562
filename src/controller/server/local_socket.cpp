#include "src/controller/server/local_socket.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "src/base/log.hpp"
#include "src/controller/server/backup.hpp"
#include "src/net/task.hpp"
#include "src/os/seqpacket.hpp"

namespace rexec::controller {
namespace {

using Descriptor = asio::posix::stream_descriptor;
using Caller = std::shared_ptr<Descriptor>;

// Of the nodes that say the database is old; a message has an end.
constexpr std::size_t kMostListed = 100;

void answer(const Caller& caller, const Result<void>& result, wire::Map map = wire::Map::object()) {
  map["ok"] = result.has_value();
  if (!result)
    map["error"] = {{"code", code_name(result.error().code)},
                    {"message", result.error().message},
                    {"hint", result.error().hint}};
  static_cast<void>(os::send_message(caller->native_handle(), as_bytes(map.dump())));
}

}  // namespace

class LocalSocket::Impl {
 public:
  Impl(Hub& hub, std::string data_dir, int listener)
      : hub_(hub), data_dir_(std::move(data_dir)), listener_(hub.context(), listener) {
    accept();
  }
  ~Impl() { ::unlink((data_dir_ + "/" + kLocalSocket).c_str()); }

 private:
  void accept() {
    listener_.async_wait(Descriptor::wait_read, [this](const asio::error_code& error) {
      if (error) return;
      const int fd =
          ::accept4(listener_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) admit(std::make_shared<Descriptor>(hub_.context(), fd));
      accept();
    });
  }
  void admit(const Caller& caller) {
    const auto peer = os::peer_credentials(caller->native_handle());
    if (!peer || (peer->uid != ::geteuid() && peer->uid != 0)) return;
    caller->async_wait(Descriptor::wait_read,
                       [this, caller, uid = peer->uid](const asio::error_code& error) {
                         if (!error) serve(caller, uid);
                       });
  }
  void serve(const Caller& caller, unsigned uid) {
    std::vector<std::uint8_t> room(os::kMaxMessage);
    const os::Received message = os::receive_message(caller->native_handle(), room);
    if (message.status != os::IoStatus::kDone) return;
    const auto map = wire::Map::parse(as_text(ByteSpan(room).first(message.size)), nullptr, false);
    const std::string verb = map.is_object() ? wire::text_or(map, "verb") : "";
    const std::string path = map.is_object() ? wire::text_or(map, "path") : "";
    // `named`: where it will stand in the end, when somebody else puts it there.
    if (verb == "backup" && path.starts_with('/'))
      return backup(caller, path, wire::text_or(map, "named", path), uid);
    if (verb == "check")
      return answer(caller, {}, {{"old_database", hub_.list_old_histories(kMostListed)}});
    if (verb == "accept") return accept_histories(caller, uid);
    answer(caller, fail(Code::kProtocol, "the controller does not know this request"));
  }
  void accept_histories(const Caller& caller, unsigned uid) {
    hub_.accept_old_histories("uid/" + std::to_string(uid),
                              [caller](const Result<std::size_t>& count) {
                                if (!count) return answer(caller, std::unexpected(count.error()));
                                answer(caller, {}, {{"accepted", *count}});
                              });
  }
  // The audit row first, so that the copy tells of itself.
  void backup(const Caller& caller, const std::string& path, const std::string& named,
              unsigned uid) {
    log_info("backup", {{"file", named}, {"uid", std::to_string(uid)}});
    hub_.post(
        [named, uid](store::Database& db) {
          store::append_audit(
              db, wall_now(),
              {"uid/" + std::to_string(uid), "controller.backup", "file/" + named, ""});
        },
        [this, caller, path](const Result<void>& saved) {
          if (!saved) return answer(caller, saved);
          auto files = files_to_keep(data_dir_);
          if (!files) return answer(caller, std::unexpected(files.error()));
          hub_.backup(path, std::move(*files),
                      [caller](const Result<void>& done) { answer(caller, done); });
        });
  }

  Hub& hub_;
  std::string data_dir_;
  Descriptor listener_;
};

LocalSocket::LocalSocket(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalSocket::~LocalSocket() = default;

Result<std::unique_ptr<LocalSocket>> LocalSocket::listen(Hub& hub, const std::string& data_dir) {
  const os::UniqueFd directory(::open(data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_errno("cannot open " + data_dir, errno);
  auto socket = os::listen_seqpacket(directory.get(), kLocalSocket);
  if (!socket) return std::unexpected(socket.error());
  auto impl = std::make_unique<Impl>(hub, data_dir, socket->release());
  return std::unique_ptr<LocalSocket>(new LocalSocket(std::move(impl)));
}

}  // namespace rexec::controller
