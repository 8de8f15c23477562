// See seal.hpp.
#include "src/store/file/seal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <vector>

#include "src/base/bytes.hpp"
#include "src/base/text.hpp"
#include "src/pki/digest.hpp"
#include "src/store/database/damage.hpp"

namespace rexec::store {
namespace {

constexpr std::string_view kBegin = "rexec backup 1, SHA-256 of all before this line: ";
constexpr std::size_t kSealSize = kBegin.size() + 64 + 1;
constexpr std::size_t kPiece = 1 << 20;

struct Close {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;
using Sink = std::function<Result<void>(ByteSpan)>;

std::string seal_line(const pki::Digest& digest) {
  return std::string(kBegin) + to_hex(digest) + "\n";
}

std::unexpected<Error> cannot_read(const std::string& path, int error) {
  auto failed = fail_errno("cannot read " + printable(path), error);
  failed.error().hint = kAnotherBackup;
  return failed;
}

// Not one that would let us wait for its other end.
Result<File> open_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return cannot_read(path, errno);
  File file(fdopen(fd, "r"));
  struct stat status{};
  if (!file || fstat(fd, &status) != 0) return cannot_read(path, errno);
  if (S_ISREG(status.st_mode)) return file;
  return std::unexpected(damaged_backup(path, "it is no regular file"));
}

// Fewer only at the end of the file.
Result<std::vector<std::uint8_t>> read_piece(const std::string& path, std::FILE* file,
                                             std::size_t size) {
  std::vector<std::uint8_t> piece(size);
  piece.resize(std::fread(piece.data(), 1, size, file));
  if (std::ferror(file) != 0) return cannot_read(path, errno);
  return piece;
}

std::string why_unsealed(std::FILE* file) {
  constexpr std::string_view kDatabase = "SQLite format 3";
  char begin[kDatabase.size()] = {};
  if (std::fread(begin, 1, sizeof begin, file) != sizeof begin ||
      std::string_view(begin, sizeof begin) != kDatabase)
    return "it is no backup that `rexec controller backup` made";
  return "the checksum that ends a backup is missing (the file was cut off, or was made by hand "
         "or by an older rexec)";
}

// How much is before the seal; the file is at its beginning again.
Result<std::size_t> size_without_seal(const std::string& path, std::FILE* file, std::string& seal) {
  struct stat status{};
  if (fstat(fileno(file), &status) != 0) return cannot_read(path, errno);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size <= kSealSize)
    return std::unexpected(damaged_backup(path, "it is too short for a backup"));
  if (std::fseek(file, -static_cast<long>(kSealSize), SEEK_END) != 0)
    return cannot_read(path, errno);
  const auto end = read_piece(path, file, kSealSize);
  if (!end) return std::unexpected(end.error());
  seal = as_text(*end);
  std::rewind(file);
  return size - kSealSize;
}

Result<void> read_sealed(const std::string& path, const Sink& sink) {
  const auto file = open_file(path);
  if (!file) return std::unexpected(file.error());
  std::string seal;
  auto left = size_without_seal(path, file->get(), seal);
  if (!left) return std::unexpected(left.error());
  if (!seal.starts_with(kBegin))
    return std::unexpected(damaged_backup(path, why_unsealed(file->get())));
  pki::Sha256 hash;
  while (*left > 0) {
    const auto piece = read_piece(path, file->get(), std::min(kPiece, *left));
    if (!piece) return std::unexpected(piece.error());
    if (piece->empty()) return std::unexpected(damaged_backup(path, "it became shorter"));
    hash.add(*piece);
    if (auto taken = sink(*piece); !taken) return taken;
    *left -= piece->size();
  }
  if (seal_line(hash.finish()) == seal) return {};
  return std::unexpected(
      damaged_backup(path, "it is damaged, its content does not match the checksum at its end"));
}

}  // namespace

struct Sealing::State {
  std::string path;
  File file;
  pki::Sha256 hash;
};

Sealing::Sealing(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sealing::~Sealing() = default;

Result<std::unique_ptr<Sealing>> Sealing::begin(const std::string& path) {
  File file(std::fopen(path.c_str(), "r+e"));
  if (!file) return fail_errno("cannot read " + path, errno);
  auto state = std::make_unique<State>();
  state->path = path;
  state->file = std::move(file);
  return std::unique_ptr<Sealing>(new Sealing(std::move(state)));
}

Result<bool> Sealing::step(std::size_t bytes) {
  const auto piece = read_piece(state_->path, state_->file.get(), bytes);
  if (!piece) return std::unexpected(piece.error());
  state_->hash.add(*piece);
  if (piece->size() == bytes) return false;
  const std::string line = seal_line(state_->hash.finish());
  std::FILE* file = state_->file.get();
  if (std::fseek(file, 0, SEEK_END) != 0 ||
      std::fwrite(line.data(), 1, line.size(), file) != line.size() || std::fflush(file) != 0)
    return fail_errno("cannot write " + state_->path, errno);
  return true;
}

Result<void> check_seal(const std::string& path) {
  return read_sealed(path, [](ByteSpan) { return Result<void>(); });
}

Result<void> copy_unsealed(const std::string& from, const std::string& to) {
  unlink(to.c_str());
  const int fd = open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  const File file(fd < 0 ? nullptr : fdopen(fd, "w"));
  if (!file) return fail_errno("cannot make " + to, errno);
  const auto put = [&](ByteSpan piece) -> Result<void> {
    if (std::fwrite(piece.data(), 1, piece.size(), file.get()) == piece.size()) return {};
    return fail_errno("cannot write " + to, errno);
  };
  auto done = read_sealed(from, put);
  if (done && (std::fflush(file.get()) != 0 || fsync(fd) != 0))
    done = fail_errno("cannot write " + to, errno);
  if (!done) unlink(to.c_str());
  return done;
}

bool has_seal(const std::string& path) {
  const auto file = open_file(path);
  std::string seal;
  return file && size_without_seal(path, file->get(), seal) && seal.starts_with(kBegin);
}

}  // namespace rexec::store
