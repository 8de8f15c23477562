// See retention.hpp.
#include "src/job/retention.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

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
  std::set<AttemptKey> left(all.begin(), all.end());
  std::vector<AttemptKey> going;
  for (const AttemptKey& key : expired) {
    const auto first = left.lower_bound({key.job, 0}), last = left.upper_bound(key);
    going.insert(going.end(), first, last);
    left.erase(first, last);
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
