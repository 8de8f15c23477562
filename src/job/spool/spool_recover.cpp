// What is left of a spool whose writer died: counted, with a torn tail cut off. See spool.hpp.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "src/job/spool/spool_format.hpp"

namespace rexec::job {
namespace {

constexpr std::size_t kMostSegments = 100;  // descriptors in one message

std::vector<std::uint32_t> segment_indices(int directory_fd) {
  std::vector<std::uint32_t> indices;
  const int copy = ::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* directory = copy < 0 ? nullptr : ::fdopendir(copy);
  while (directory != nullptr) {
    const dirent* entry = ::readdir(directory);
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    std::uint32_t index = 0;
    if (!name.starts_with("out.")) continue;
    const auto [end, error] = std::from_chars(name.data() + 4, name.data() + name.size(), index);
    if (error == std::errc() && *end == '\0') indices.push_back(index);
  }
  if (directory != nullptr) ::closedir(directory);
  std::sort(indices.begin(), indices.end());
  return indices;
}

struct Counted {
  PerStream<std::uint64_t> bytes;
  std::uint64_t valid_end = kSegmentHeader;
};

// One frame after the other until one is not whole.
Counted count_frames(int fd, std::uint32_t index) {
  Counted counted;
  Buffer buffer(SpoolReader::kMinBuffer);
  while (true) {
    const ssize_t n =
        ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(counted.valid_end));
    if (n < static_cast<ssize_t>(kFrameHeader)) return counted;
    const auto header = parse_frame(buffer.data());
    if (!header) return counted;
    const std::size_t size = kFrameHeader + header->size;
    if (static_cast<std::size_t>(n) < size) return counted;
    if (!frame_intact(buffer.writable().first(size), index)) return counted;
    (header->channel == Channel::kErr ? counted.bytes.err : counted.bytes.out) += header->size;
    counted.valid_end += size;
  }
}

// Adds the newest segment's frames to the totals and cuts what is torn.
Result<void> cut_tail(int fd, SpoolScan& scan) {
  const SegmentInfo& info = scan.segments.back();
  const Counted counted = count_frames(fd, info.index);
  scan.totals = {info.out_base + counted.bytes.out, info.err_base + counted.bytes.err};
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno("fstat", errno);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size <= counted.valid_end) return {};
  scan.torn_bytes += size - counted.valid_end;
  if (::ftruncate(fd, static_cast<off_t>(counted.valid_end)) != 0)
    return fail_errno("ftruncate", errno);
  return {};
}

}  // namespace

Result<SpoolScan> recover_spool(int directory_fd) {
  SpoolScan scan;
  os::UniqueFd newest;
  for (const std::uint32_t index : segment_indices(directory_fd)) {
    const std::string name = segment_name(index);
    os::UniqueFd fd(::openat(directory_fd, name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return fail_errno(name, errno);
    const auto info = read_segment_info(fd.get());
    if (!info || info->index != index) {  // the writer died inside its header
      struct stat status{};
      if (::fstat(fd.get(), &status) == 0)
        scan.torn_bytes += static_cast<std::uint64_t>(status.st_size);
      ::unlinkat(directory_fd, name.c_str(), 0);
      continue;
    }
    scan.segments.push_back(*info);
    newest = std::move(fd);
  }
  if (scan.segments.empty()) return scan;
  if (auto cut = cut_tail(newest.get(), scan); !cut) return std::unexpected(cut.error());
  return scan;
}

std::vector<os::UniqueFd> open_segments(int directory_fd) {
  auto indices = segment_indices(directory_fd);
  if (indices.size() > kMostSegments) indices.erase(indices.begin(), indices.end() - kMostSegments);
  std::vector<os::UniqueFd> fds;
  for (const std::uint32_t index : indices) {
    const std::string name = segment_name(index);
    os::UniqueFd fd(::openat(directory_fd, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd) fds.push_back(std::move(fd));
  }
  return fds;
}

}  // namespace rexec::job
