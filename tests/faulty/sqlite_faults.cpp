// A disk that fails beneath SQLite: a VFS in front of the usual one whose files ask the points
// store.sync and store.write before each sync and write. It becomes the default before main, so the
// store knows nothing of it.
#include <sqlite3.h>

#include <cerrno>
#include <cstring>

#include "src/base/fail_point.hpp"

namespace rexec::faulty {
namespace {

// SQLite gives us szOsFile bytes: this, and behind it the real file.
struct File {
  sqlite3_file base;
  int last_errno;
};

sqlite3_vfs* real = nullptr;
sqlite3_vfs vfs;

sqlite3_file* below(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1);
}
int remember(sqlite3_file* file, int error, int code) {
  reinterpret_cast<File*>(file)->last_errno = error;
  return code;
}

int close_file(sqlite3_file* f) { return below(f)->pMethods->xClose(below(f)); }
int read(sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
  return below(f)->pMethods->xRead(below(f), to, n, at);
}
int write(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
  const int error = fail_errno_at(FailPoint::kStoreWrite);
  if (error == ENOSPC) return remember(f, error, SQLITE_FULL);  // as the unix VFS says it
  if (error != 0) return remember(f, error, SQLITE_IOERR_WRITE);
  return remember(f, 0, below(f)->pMethods->xWrite(below(f), from, n, at));
}
int truncate(sqlite3_file* f, sqlite3_int64 size) {
  return below(f)->pMethods->xTruncate(below(f), size);
}
int sync(sqlite3_file* f, int flags) {
  const int error = fail_errno_at(FailPoint::kStoreSync);
  if (error != 0) return remember(f, error, SQLITE_IOERR_FSYNC);
  return below(f)->pMethods->xSync(below(f), flags);
}
int file_size(sqlite3_file* f, sqlite3_int64* size) {
  return below(f)->pMethods->xFileSize(below(f), size);
}
int lock(sqlite3_file* f, int level) { return below(f)->pMethods->xLock(below(f), level); }
int unlock(sqlite3_file* f, int level) { return below(f)->pMethods->xUnlock(below(f), level); }
int check_lock(sqlite3_file* f, int* out) {
  return below(f)->pMethods->xCheckReservedLock(below(f), out);
}
int control(sqlite3_file* f, int op, void* arg) {
  const int pretended = reinterpret_cast<File*>(f)->last_errno;
  if (op == SQLITE_FCNTL_LAST_ERRNO && pretended != 0) {
    *static_cast<int*>(arg) = pretended;
    return SQLITE_OK;
  }
  return below(f)->pMethods->xFileControl(below(f), op, arg);
}
int sector_size(sqlite3_file* f) { return below(f)->pMethods->xSectorSize(below(f)); }
int characteristics(sqlite3_file* f) {
  return below(f)->pMethods->xDeviceCharacteristics(below(f));
}

// Version 1: no shared memory and no mapping, which an exclusive WAL does without.
constexpr sqlite3_io_methods kMethods = {1,       close_file,  read,           write,  truncate,
                                         sync,    file_size,   lock,           unlock, check_lock,
                                         control, sector_size, characteristics};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
  File* mine = reinterpret_cast<File*>(file);
  mine->last_errno = 0;
  mine->base.pMethods = nullptr;
  const int code = real->xOpen(real, name, below(file), flags, out);
  if (below(file)->pMethods != nullptr) mine->base.pMethods = &kMethods;
  return code;
}

__attribute__((constructor)) void become_default() {
  real = sqlite3_vfs_find(nullptr);
  if (real == nullptr) return;
  vfs = *real;
  vfs.pNext = nullptr;
  vfs.zName = "faulty";
  vfs.szOsFile = static_cast<int>(sizeof(File)) + real->szOsFile;
  vfs.xOpen = open_file;
  sqlite3_vfs_register(&vfs, 1);
}

}  // namespace
}  // namespace rexec::faulty
