// See retention.hpp.
#include "src/job/retention.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace rexec::job {

std::vector<AttemptKey> choose_expired(std::vector<Kept> kept, const RetentionLimits& limits,
                                       WallTime now) {
  std::sort(kept.begin(), kept.end(),
            [](const Kept& a, const Kept& b) { return a.reported < b.reported; });
  std::uint64_t total = 0;
  for (const Kept& k : kept) total += k.bytes;
  std::vector<AttemptKey> expired;
  for (const Kept& k : kept) {
    if (total <= limits.bytes && now - k.reported <= limits.age) break;
    total -= k.bytes;
    expired.push_back(k.key);
  }
  return expired;
}

std::vector<AttemptKey> with_predecessors(const std::vector<AttemptKey>& expired,
                                          const std::vector<AttemptKey>& all) {
  std::vector<AttemptKey> going;
  for (const AttemptKey& key : expired) {
    const std::size_t first = going.size();
    for (const AttemptKey& other : all)
      if (other.job == key.job && other.attempt <= key.attempt &&
          std::find(going.begin(), going.end(), other) == going.end())
        going.push_back(other);
    std::sort(going.begin() + static_cast<std::ptrdiff_t>(first), going.end());
  }
  return going;
}

Kept measure_attempt(const AttemptKey& key, int dir_fd) {
  Kept kept{key, 0, {}};
  struct stat status{};
  if (::fstatat(dir_fd, "reported", &status, AT_SYMLINK_NOFOLLOW) != 0) return kept;
  kept.reported = WallTime(std::chrono::seconds(status.st_mtim.tv_sec));
  const int copy = ::openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* directory = copy < 0 ? nullptr : ::fdopendir(copy);
  if (directory == nullptr) return kept;
  while (const dirent* entry = ::readdir(directory))
    if (::fstatat(dir_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
      kept.bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
  ::closedir(directory);
  return kept;
}

}  // namespace rexec::job
