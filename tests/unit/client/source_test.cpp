// The client's stdin: read while there is room, kept until it is acknowledged, never changed.
#include "src/client/source.hpp"

#include <malloc.h>

#include "tests/unit/base/temp_dir.hpp"
#include "tests/unit/client/descriptors.hpp"

using namespace rexec;
using namespace rexec::client;
using namespace rexec::client::test;

namespace {

struct Rig {
  asio::io_context context{1};
  int calls = 0;
  Source source;
  explicit Rig(int fd) : source(context.get_executor(), fd, [this] { ++calls; }) {}
  // All that is kept from `offset` on, in as many pieces as it comes in.
  std::string text(std::uint64_t offset = 0, std::size_t most = 1'000) const {
    std::string out;
    while (true) {
      const ByteSpan piece = source.at(offset + out.size(), most);
      if (piece.empty()) return out;
      out += as_text(piece);
    }
  }
};

void put(const os::UniqueFd& fd, std::string_view text) {
  REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

}  // namespace

TEST_CASE("source: what is typed is there by its offset, until the end") {
  for (auto* make : {pipe_ends, socket_ends}) {
    Ends ends = make();
    Rig rig(ends.read.get());
    rig.source.start();
    put(ends.write, "hello ");
    run_until(rig.context, [&] { return rig.source.end_offset() == 6; });
    put(ends.write, "world");
    run_until(rig.context, [&] { return rig.source.end_offset() == 11; });
    CHECK(rig.text() == "hello world");
    CHECK(rig.text(8) == "rld");
    CHECK(as_text(rig.source.at(0, 2)) == "he");
    CHECK(rig.source.at(11, 5).empty());
    CHECK_FALSE(rig.source.finished());
    ends.write.reset();
    run_until(rig.context, [&] { return rig.source.finished(); });
    CHECK(rig.calls >= 2);
    CHECK(rig.text() == "hello world");
  }
}

TEST_CASE("source: a read that fails is not the end of the input") {
  struct Row {
    const char* path;
    int error;
  };
  for (const Row row : {Row{"/", EISDIR}, Row{"/proc/self/mem", EIO}}) {
    const os::UniqueFd fd(::open(row.path, O_RDONLY | O_CLOEXEC));
    REQUIRE(fd);
    Rig rig(fd.get());
    rig.source.start();
    run_until(rig.context, [&] { return rig.calls > 0; });
    CHECK(rig.source.failure() == row.error);
    CHECK_FALSE(rig.source.finished());
    rig.context.restart();
    rig.context.poll();
    CHECK(rig.calls == 1);
  }
}

TEST_CASE("source: no end-of-file key is pressed where reading fails") {
  const os::UniqueFd fd(::open("/", O_RDONLY | O_CLOEXEC));
  Rig rig(fd.get());
  rig.source.press_at_end('\x04');
  rig.source.start();
  run_until(rig.context, [&] { return rig.calls > 0; });
  CHECK(rig.source.end_offset() == 0);
}

TEST_CASE("source: bytes are kept until they are released, and read on only then") {
  Ends ends = pipe_ends();
  Rig rig(ends.read.get());
  rig.source.start();
  std::uint64_t written = 0;
  const auto fill = [&] {
    const std::string piece(16 << 10, 'x');
    const std::string path = "/proc/self/fd/" + std::to_string(ends.write.get());
    const os::UniqueFd own(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    ssize_t n = 0;
    while ((n = ::write(own.get(), piece.data(), piece.size())) > 0)
      written += static_cast<std::uint64_t>(n);
  };
  for (int i = 0; i < 100; ++i) {
    fill();
    rig.context.restart();
    rig.context.poll();
  }
  const std::uint64_t kept = rig.source.end_offset();
  CHECK(kept >= 1 << 20);
  CHECK(kept < (1 << 20) + (64 << 10));
  CHECK(written > kept);  // the pipe is full: the writer waits
  rig.source.release(500'000);
  fill();
  run_until(rig.context, [&] { return rig.source.end_offset() > kept; });
  CHECK_FALSE(rig.source.at(500'000, 10).empty());
  rig.source.release(std::uint64_t{1} << 60);  // more than there is
  CHECK(rig.source.at(rig.source.end_offset() - 1, 10).empty());
}

TEST_CASE("source: a thousand small reads that wait cost little more than their bytes") {
  Ends ends = pipe_ends();
  Rig rig(ends.read.get());
  rig.source.start();
  const auto before = ::mallinfo2().uordblks;
  for (std::uint64_t i = 1; i <= 5'000; ++i) {
    put(ends.write, "x");
    run_until(rig.context, [&] { return rig.source.end_offset() == i; });
  }
  const auto after = ::mallinfo2().uordblks;  // 0 under AddressSanitizer
  CHECK((after < before || after - before < (1 << 20)));
  CHECK(rig.text().size() == 5'000);
}

TEST_CASE("source: regular files and /dev/null are read to their end") {
  const TempDir directory;
  const std::string path = directory / "in";
  os::UniqueFd file(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  std::string content(300'000, 'f');
  content += "end";
  put(file, content);
  ::lseek(file.get(), 0, SEEK_SET);
  Rig rig(file.get());
  rig.source.start();
  run_until(rig.context, [&] { return rig.source.finished(); });
  const bool same = rig.text(0, 100'000) == content;
  CHECK(same);
  os::UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Rig nothing(null.get());
  nothing.source.start();
  run_until(nothing.context, [&] { return nothing.source.finished(); });
  CHECK(nothing.source.end_offset() == 0);
  CHECK(nothing.calls == 1);
}

TEST_CASE("source: a stdin that was closed before the start is an empty one") {
  Rig rig(-1);
  rig.source.start();
  CHECK(rig.source.finished());
  CHECK(rig.calls == 1);
}

TEST_CASE("source: the flags of the user's descriptor stay as they are") {
  for (auto* make : {pipe_ends, socket_ends, terminal_ends}) {
    const Ends ends = make();
    const int before = flags_of(ends.read);
    {
      Rig rig(ends.read.get());
      rig.source.start();
      put(ends.write, "typed");
      run_until(rig.context, [&] { return rig.source.end_offset() == 5; });
      CHECK(flags_of(ends.read) == before);
    }
    CHECK(flags_of(ends.read) == before);
    CHECK((before & O_NONBLOCK) == 0);
  }
}

TEST_CASE("source: a filter may take bytes out before anybody sees them") {
  const Ends ends = pipe_ends();
  Rig rig(ends.read.get());
  rig.source.filter = [](std::string& bytes) { std::erase(bytes, '~'); };
  rig.source.start();
  put(ends.write, "~~~");
  put(ends.write, "a~b");
  run_until(rig.context, [&] { return rig.source.end_offset() == 2; });
  CHECK(rig.text() == "ab");
}

TEST_CASE("source: one that is gone reads no more of what the shell may want") {
  const Ends ends = pipe_ends();
  {
    asio::io_context context(1);
    Source source(context.get_executor(), ends.read.get(), [] {});
    source.start();
    context.poll();
  }
  put(ends.write, "for the shell");
  CHECK(drain(ends.read) == "for the shell");
}

TEST_CASE("source: a key at the end follows the text, and comes again once it was taken") {
  Ends ends = pipe_ends();
  Rig rig(ends.read.get());
  rig.source.press_at_end('\x04');
  rig.source.start();
  put(ends.write, "text");
  ends.write.reset();
  run_until(rig.context, [&] { return rig.source.end_offset() == 5; });
  CHECK(rig.text() == "text\x04");
  rig.source.release(5);
  run_until(rig.context, [&] { return rig.source.end_offset() == 6; });
  CHECK(rig.text(5) == "\x04");
  CHECK_FALSE(rig.source.finished());
}
