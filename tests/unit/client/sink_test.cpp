// The client's outputs: nothing blocks, nothing is lost, nobody else's flags change.
#include "src/client/sink.hpp"

#include <csignal>

#include "tests/unit/base/temp_dir.hpp"
#include "tests/unit/client/descriptors.hpp"

using namespace rexec;
using namespace rexec::client;
using namespace rexec::client::test;

namespace {

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return out;
}

struct Rig {
  asio::io_context context{1};
  std::unique_ptr<Sink> sink;
  int changes = 0;
  explicit Rig(int fd) {
    ::signal(SIGPIPE, SIG_IGN);  // as the client does
    sink = std::make_unique<Sink>(context.get_executor(), fd, [this] { ++changes; });
  }
};

}  // namespace

TEST_CASE("sink: a full pipe, socket or terminal holds nobody up and loses nothing") {
  for (auto* make : {pipe_ends, socket_ends, terminal_ends}) {
    const Ends ends = make();
    Rig rig(ends.write.get());
    const std::string sent = pattern(1 << 20);
    for (std::size_t at = 0; at < sent.size(); at += 10'000)
      rig.sink->write(as_bytes(sent).subspan(at, std::min<std::size_t>(10'000, sent.size() - at)));
    CHECK(rig.sink->pending() > 100'000);
    std::string read;
    run_until(rig.context, [&] {
      read += drain(ends.read);
      return read.size() >= sent.size();
    });
    const bool same = read == sent;
    CHECK(same);
    run_until(rig.context, [&] { return rig.sink->pending() == 0; });
    CHECK(rig.changes > 0);
    CHECK_FALSE(rig.sink->closed());
  }
}

TEST_CASE("sink: the flags of the user's descriptor stay as they are, also while it is full") {
  for (auto* make : {pipe_ends, socket_ends, terminal_ends}) {
    const Ends ends = make();
    const int before = flags_of(ends.write);
    const int of_reader = flags_of(ends.read);
    {
      Rig rig(ends.write.get());
      rig.sink->write(as_bytes(pattern(1 << 20)));
      rig.context.poll();
      CHECK(flags_of(ends.write) == before);
      drain(ends.read);
      rig.context.poll();
      CHECK(flags_of(ends.write) == before);
    }
    CHECK(flags_of(ends.write) == before);
    CHECK(flags_of(ends.read) == of_reader);
    CHECK((before & O_NONBLOCK) == 0);
  }
}

TEST_CASE("sink: a reader that went away closes it, once, with EPIPE") {
  for (auto* make : {pipe_ends, socket_ends}) {
    Ends ends = make();
    Rig rig(ends.write.get());
    rig.sink->write(as_bytes("first"));
    CHECK_FALSE(rig.sink->closed());
    ends.read.reset();
    rig.sink->write(as_bytes("second"));
    CHECK(rig.sink->closed());
    CHECK(rig.sink->failure() == EPIPE);
    CHECK(rig.changes == 1);
    rig.sink->write(as_bytes("third"));
    CHECK(rig.changes == 1);
    CHECK(rig.sink->pending() == 0);
  }
}

TEST_CASE("sink: a reader that goes away while bytes wait drops them and says so") {
  for (auto* make : {pipe_ends, socket_ends}) {
    Ends ends = make();
    Rig rig(ends.write.get());
    rig.sink->write(as_bytes(pattern(1 << 20)));
    CHECK(rig.sink->pending() > 0);
    ends.read.reset();
    run_until(rig.context, [&] { return rig.sink->closed(); });
    CHECK(rig.sink->pending() == 0);
    CHECK(rig.sink->failure() == EPIPE);
    CHECK(rig.changes >= 1);
  }
}

TEST_CASE("sink: regular files and /dev/null take everything at once") {
  const TempDir directory;
  const std::string path = directory / "out";
  os::UniqueFd file(::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600));
  REQUIRE(::write(file.get(), "before ", 7) == 7);
  Rig rig(file.get());
  const std::string sent = pattern(300'000);
  rig.sink->write(as_bytes(sent));
  CHECK(rig.sink->pending() == 0);
  os::UniqueFd back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const bool same = drain(back) == "before " + sent;
  CHECK(same);
  os::UniqueFd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  Rig nowhere(null.get());
  nowhere.sink->write(as_bytes(sent));
  CHECK(nowhere.sink->pending() == 0);
  CHECK_FALSE(nowhere.sink->closed());
}

TEST_CASE("sink: a full disk closes it with the reason") {
  os::UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  Rig rig(full.get());
  rig.sink->write(as_bytes("x"));
  CHECK(rig.sink->closed());
  CHECK(rig.sink->failure() == ENOSPC);
}

TEST_CASE("sink: an output that was closed before the start is closed from the start") {
  Rig rig(-1);
  CHECK(rig.sink->closed());
  CHECK(rig.sink->failure() == EBADF);
  rig.sink->write(as_bytes("x"));
  CHECK(rig.sink->pending() == 0);
}

TEST_CASE("sink: one that is gone is not called by what it waited for") {
  const Ends ends = pipe_ends();
  Rig rig(ends.write.get());
  rig.sink->write(as_bytes(pattern(1 << 20)));
  rig.sink.reset();
  drain(ends.read);
  rig.context.restart();
  rig.context.poll();
  CHECK(rig.changes == 0);
}
