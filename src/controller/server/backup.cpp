#include "src/controller/server/backup.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "src/base/file.hpp"
#include "src/base/text.hpp"
#include "src/controller/server/account.hpp"
#include "src/controller/server/local_socket.hpp"
#include "src/controller/server/setup.hpp"
#include "src/os/seqpacket.hpp"
#include "src/store/engine/store.hpp"
#include "src/store/file/data_lock.hpp"

namespace rexec::controller {
namespace {

struct Kept {
  std::string_view name;
  mode_t mode;
};
constexpr std::array<Kept, 4> kKept = {
    {{"ca.key", 0600}, {"ca.crt", 0644}, {"ticket.key", 0600}, {"controller.toml", 0600}}};

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// Said before anything is asked of it: else a missing key would be all there is to read.
Result<void> check_is_controllers(const std::string& data_dir) {
  if (is_there(data_dir + "/controller.toml")) return {};
  const int error = errno;
  const std::string hint =
      "name the controller's data directory: rexec controller backup --data DIR FILE";
  if (error == ENOENT || error == ENOTDIR)
    return fail(Code::kConfig, printable(data_dir) + " is no controller's data directory", hint);
  auto failed = fail_errno("cannot look into " + printable(data_dir), error);
  failed.error().hint = hint;
  return failed;
}

// The copy takes the place of what is there in one step; that must not be somebody's other file.
Result<void> check_may_replace(const std::string& path) {
  struct stat there{};
  if (::stat(path.c_str(), &there) != 0 || store::is_backup(path)) return {};
  return fail(Code::kConflict, printable(path) + " is there and is no backup: it was left alone",
              "name another file: rexec controller backup FILE");
}

Error lacking(const std::string& data_dir, const Kept& kept, Error error) {
  error.message = "a backup needs it: " + error.message;
  error.hint = kept.name == "ticket.key"
                   ? "a controller makes it at its first start: rexec controller run --data " +
                         shell_quoted(data_dir)
                   : "put it back from an earlier backup or copy, then back up again";
  return error;
}

}  // namespace

Result<wire::Map> ask_controller(const std::string& data_dir, const wire::Map& question) {
  const os::UniqueFd directory(::open(data_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_errno("cannot open " + data_dir, errno);
  const auto socket = os::connect_seqpacket(directory.get(), kLocalSocket);
  if (!socket)
    return fail(Code::kBusy, "a controller uses " + data_dir + " and does not answer there",
                "run this as the user it runs as, or end it first");
  if (os::send_message(socket->get(), as_bytes(question.dump())) != os::IoStatus::kDone)
    return fail(Code::kIo, "the controller does not listen on its local socket");
  std::vector<std::uint8_t> room(os::kMaxMessage);
  os::Received answer;
  do {
    pollfd ready{socket->get(), POLLIN, 0};
    ::poll(&ready, 1, -1);
    answer = os::receive_message(socket->get(), room);
  } while (answer.status == os::IoStatus::kAgain);
  if (answer.status != os::IoStatus::kDone)
    return fail(Code::kLinkLost, "the controller ended before it answered");
  const auto map = wire::Map::parse(as_text(ByteSpan(room).first(answer.size)), nullptr, false);
  if (!map.is_object()) return fail(Code::kProtocol, "the controller's answer cannot be read");
  const wire::Map& error = wire::child_or_empty(map, "error");
  if (error.empty()) return map;
  return fail(code_from_name(wire::text_or(error, "code")), wire::text_or(error, "message"),
              wire::text_or(error, "hint"));
}

namespace {

Result<void> copy_alone(const std::string& data_dir, const std::string& path) {
  auto files = files_to_keep(data_dir);
  if (!files) return std::unexpected(files.error());
  auto store = store::Store::open({data_dir, {}, {}});
  if (!store) return std::unexpected(store.error());
  Result<void> result;
  auto told = (*store)->run_now([&](store::Database& db) {
    store::append_audit(db, wall_now(), {"local", "controller.backup", "file/" + path, ""});
  });
  if (!told) return told;
  (*store)->backup(path, std::move(*files), [&](Result<void> done) { result = std::move(done); });
  (*store)->stop();
  return result;
}

// Root may write anywhere and the controller, which is somebody else by now, may not: it writes
// into its own directory, and the file is moved from there. What is no plain file of one name is
// not what it wrote.
Result<void> move_file(const std::string& from, const std::string& to) {
  struct stat status{};
  if (::lstat(from.c_str(), &status) != 0) return fail_errno(from, errno);
  if (!S_ISREG(status.st_mode) || status.st_nlink != 1)
    return fail(Code::kIo, from + " is not the file that the controller was to write");
  std::error_code error;
  std::filesystem::rename(from, to, error);
  const std::string beside = to + ".tmp";
  if (error == std::errc::cross_device_link) {
    // The copy takes the place of what is there when it is complete, as a rename does.
    const mode_t before = ::umask(077);
    std::filesystem::copy_file(from, beside, std::filesystem::copy_options::overwrite_existing,
                               error);
    ::umask(before);
    const os::UniqueFd copy(::open(beside.c_str(), O_RDONLY | O_CLOEXEC));
    if (!error && (!copy || ::fsync(copy.get()) != 0))
      error = std::error_code(errno, std::system_category());
    if (!error) std::filesystem::rename(beside, to, error);
    if (error) ::unlink(beside.c_str());
  }
  ::unlink(from.c_str());
  if (!error && ::lchown(to.c_str(), ::geteuid(), ::getegid()) != 0)
    error = std::error_code(errno, std::system_category());
  if (error) return fail_errno("cannot write " + to, error.value());
  return {};
}

Result<void> copy_of_running(const std::string& data_dir, const std::string& path) {
  const bool moves = ::geteuid() == 0;
  const std::string written =
      moves ? std::filesystem::absolute(data_dir).string() + "/controller.backup" : path;
  auto answer = ask_controller(data_dir, {{"verb", "backup"}, {"path", written}, {"named", path}});
  if (!answer) return std::unexpected(answer.error());
  return moves ? move_file(written, path) : Result<void>();
}

// What there is goes before what the backup has, but for the keys: with others than the database
// was written under no node would ever come back.
Result<void> put_file(const std::string& data_dir, const Kept& kept, const std::string& content) {
  const std::string path = data_dir + "/" + std::string(kept.name);
  if (!is_there(path)) return write_file(path, content, kept.mode);
  const auto there = read_file(path);
  if (!there) return std::unexpected(there.error());
  if (*there == content || kept.name == "controller.toml") return {};
  if (kept.name == "ca.key" || kept.name == "ca.crt")
    return fail(Code::kConflict, data_dir + " belongs to another cluster than the backup",
                "restore into an empty directory");
  if (::rename(path.c_str(), (path + ".before-restore").c_str()) != 0)
    return fail_errno("cannot move " + path, errno);
  return write_file(path, content, kept.mode);
}

Result<void> put_files(const std::string& data_dir, const std::string& backup) {
  const auto files = store::files_of_backup(backup);
  if (!files) return std::unexpected(files.error());
  for (const Kept& kept : kKept) {
    const auto file = std::ranges::find(*files, kept.name, &store::BackupFile::name);
    if (file != files->end()) {
      if (auto put = put_file(data_dir, kept, file->content); !put) return put;
    } else if (!is_there(data_dir + "/" + std::string(kept.name))) {
      return fail(Code::kStore,
                  backup + " holds no " + std::string(kept.name) + ", and neither does " + data_dir,
                  "put the former directory's file there, then restore again");
    }
  }
  return {};
}

wire::Map to_map(const store::Recovery& done) {
  return {{"since",
           done.copied == WallTime{} ? wire::Map(nullptr) : wire::Map(to_iso8601(done.copied))},
          {"jobs_unfinished", done.jobs_unfinished},
          {"tokens_voided", done.tokens_voided},
          {"former_read", done.has_former},
          {"former_error", done.former_error},
          {"users_revoked", done.users_revoked},
          {"users_kept", done.users_kept},
          {"nodes_removed", done.nodes_removed},
          {"jobs_removed", done.jobs_removed},
          {"users_unknown", done.users_unknown},
          {"nodes_unknown", done.nodes_unknown},
          {"schedules_back", done.schedules_back}};
}

}  // namespace

Result<std::vector<store::BackupFile>> files_to_keep(const std::string& data_dir) {
  std::vector<store::BackupFile> files;
  for (const Kept& kept : kKept) {
    auto content = read_file(data_dir + "/" + std::string(kept.name));
    if (!content) return std::unexpected(lacking(data_dir, kept, std::move(content.error())));
    files.push_back({std::string(kept.name), std::move(*content)});
  }
  return files;
}

Result<wire::Map> backup(const std::string& data_dir, const std::string& path) {
  if (auto fit = check_is_controllers(data_dir); !fit) return std::unexpected(fit.error());
  if (auto fit = check_may_replace(path); !fit) return std::unexpected(fit.error());
  const Result<pid_t> holder = store::DataLock::holder(data_dir);
  if (!holder) return std::unexpected(holder.error());
  if (*holder != 0) {
    if (auto copied = copy_of_running(data_dir, path); !copied)
      return std::unexpected(copied.error());
  } else if (auto copied = copy_alone(data_dir, path); !copied) {
    return std::unexpected(copied.error());
  }
  struct stat made{};
  if (::stat(path.c_str(), &made) != 0) return fail_errno(path, errno);
  return wire::Map{{"backup", path}, {"bytes", made.st_size}};
}

Result<wire::Map> restore(const std::string& data_dir, const std::string& path) {
  if (auto good = store::check_backup(path); !good) return std::unexpected(good.error());
  if (auto made = make_directories(data_dir, 0700); !made) return std::unexpected(made.error());
  const Result<pid_t> holder = store::DataLock::holder(data_dir);
  if (!holder) return std::unexpected(holder.error());
  if (*holder != 0)
    return fail(Code::kBusy, "a controller runs on " + data_dir,
                "end it first; see: rexec controller status --data " + shell_quoted(data_dir));
  const bool had_one = is_there(data_dir + "/controller.db");
  if (auto put = put_files(data_dir, path); !put) return std::unexpected(put.error());
  const auto done = store::restore_from(path, data_dir);
  if (!done) return std::unexpected(done.error());
  const auto config = load_server_config(data_dir);
  if (!config) return std::unexpected(config.error());
  if (auto given = give_to_account(data_dir); !given) return std::unexpected(given.error());
  wire::Map out = to_map(*done);
  out["data"] = data_dir;
  out["cluster"] = config->cluster;
  if (had_one) out["former"] = data_dir + "/controller.db.before-restore";
  return out;
}

}  // namespace rexec::controller
