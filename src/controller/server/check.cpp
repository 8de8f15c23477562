#include "src/controller/server/check.hpp"

#include "src/base/text.hpp"
#include "src/controller/server/backup.hpp"
#include "src/store/file/data_lock.hpp"

namespace rexec::controller {
namespace {

Result<wire::Map> ask(const std::string& data_dir, const char* verb) {
  const Result<pid_t> holder = store::DataLock::holder(data_dir);
  if (!holder) return std::unexpected(holder.error());
  if (*holder == 0)
    return fail(
        Code::kControllerDown, "no controller runs on " + printable(data_dir),
        "start it, and wait for its nodes: rexec controller run --data " + shell_quoted(data_dir));
  auto answer = ask_controller(data_dir, {{"verb", verb}});
  if (answer) answer->erase("ok");
  return answer;
}

}  // namespace

Result<wire::Map> check(const std::string& data_dir) { return ask(data_dir, "check"); }

Result<wire::Map> accept_old_database(const std::string& data_dir) {
  return ask(data_dir, "accept");
}

}  // namespace rexec::controller
