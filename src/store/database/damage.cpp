// See damage.hpp.
#include "src/store/database/damage.hpp"

#include "src/base/text.hpp"

namespace rexec::store {

Error damaged(const std::string& path, const std::string& why) {
  const std::size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash);
  return Error{Code::kStore, path + " is damaged: " + printable(why),
               "nothing was changed; put back a copy of " + printable(directory) +
                   ", or a backup: rexec controller restore --data " + shell_quoted(directory) +
                   " FILE"};
}

Error damaged_backup(const std::string& path, const std::string& why) {
  return Error{Code::kStore, printable(path) + " cannot be restored: " + printable(why),
               kAnotherBackup};
}

}  // namespace rexec::store
