// Copies of the database: taken under load through SQLite's backup API, put back only after they
// were checked. A copy carries the files that stand beside the database (keys, configuration) in a
// table of its own, so that one file is all that a bare machine needs; which files those are is the
// controller's to say.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "src/store/database/database.hpp"
#include "src/store/file/recovery.hpp"

namespace rexec::store {

struct BackupFile {
  std::string name;
  std::string content;
};

// A consistent copy of the database as it is at the last step: temporary beside `path`, then synced
// and renamed, 0600. Between steps the database may be written through `db`; during one it may not.
// Use Store::backup.
class BackupRun {
 public:
  static Result<std::unique_ptr<BackupRun>> begin(Database& db, std::string path,
                                                  std::vector<BackupFile> files);
  ~BackupRun();  // removes what is not complete
  // True when the copy is there.
  Result<bool> step(int pages);

 private:
  struct State;
  explicit BackupRun(std::unique_ptr<State> state);
  Result<void> complete_copy();
  Result<bool> name_it();
  std::unique_ptr<State> state_;
};
// The same in one go.
Result<void> backup_to(Database& db, const std::string& path);
// kStore unless the file's seal fits (seal.hpp), and in it is a rexec database of a schema this
// binary knows, whole (integrity_check), each row with its checksum and a chain that verifies.
Result<void> check_backup(const std::string& path);
// Ends as a backup does: one may be replaced by a newer one, another file may not.
bool is_backup(const std::string& path);
// After check_backup: what was put beside the database.
Result<std::vector<BackupFile>> files_of_backup(const std::string& path);
// After check_backup: puts the copy in place of the data directory's database, which is kept as
// `controller.db.before-restore`, once it was told what it does not know (recovery.hpp). kBusy
// while a controller runs there, kStore when the seal does not fit any more.
Result<Recovery> restore_from(const std::string& backup, const std::string& data_directory);

}  // namespace rexec::store
