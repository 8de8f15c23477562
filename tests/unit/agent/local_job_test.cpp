// A job whose connection to its shim is made anew: what a person asked for meanwhile is not lost.
#include "src/agent/local_job.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "src/job/spool/attempt_dir.hpp"
#include "src/os/fd.hpp"
#include "src/os/seqpacket.hpp"

using namespace rexec;
using namespace rexec::agent;
namespace link_ = rexec::job::link;

namespace {

struct Shim {
  os::UniqueFd mine, theirs;
  Shim() {
    int both[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, both) == 0);
    mine.reset(both[0]);
    theirs.reset(both[1]);
  }
  // All that has arrived by now.
  std::vector<link_::ToShim> heard() const {
    static std::vector<std::uint8_t> memory(os::kMaxMessage);
    std::vector<link_::ToShim> out;
    while (true) {
      const os::Received got = os::receive_message(mine.get(), memory);
      if (got.status != os::IoStatus::kDone) return out;
      const auto message = link_::decode_to_shim({memory.data(), got.size});
      REQUIRE(message.has_value());
      out.push_back(*message);
    }
  }
};

template <class Kind>
std::vector<Kind> only(const std::vector<link_::ToShim>& messages) {
  std::vector<Kind> out;
  for (const auto& message : messages)
    if (const auto* one = std::get_if<Kind>(&message)) out.push_back(*one);
  return out;
}

struct Rig {
  asio::io_context context{1};
  int lost = 0;
  int wanted = 0;
  std::shared_ptr<LocalJob> job = std::make_shared<LocalJob>(
      context.get_executor(), AttemptKey{JobId("j-000000000001"), 1},
      LocalJob::Events{[](LocalJob&) {}, [](LocalJob&) {}, [this](LocalJob&) { ++lost; },
                       [this](LocalJob&) { ++wanted; }});

  void connect(Shim& shim) { job->use_channel({job->key(), {}, 7, 0}, std::move(shim.theirs)); }
  template <class Condition>
  void run_until(Condition condition) {
    context.restart();
    while (!condition() && context.run_one_for(std::chrono::seconds(10)) != 0) {
    }
  }
  void lose(Shim& shim) {
    shim.mine.reset();
    const int before = lost;
    run_until([&] { return lost > before; });
    REQUIRE(lost == before + 1);
    REQUIRE_FALSE(job->connected());
  }
};

}  // namespace

TEST_CASE("local job: what is asked while its shim is away reaches it over the next connection") {
  Rig rig;
  Shim before, after;
  rig.connect(before);
  rig.lose(before);
  rig.job->send(link_::Signal{10});
  rig.job->send(link_::Leave{});
  rig.job->send(link_::Stop{5'000});
  rig.job->send(link_::Stop{1'000});
  rig.job->send(link_::Stop{9'000});
  rig.connect(after);
  const auto heard = after.heard();
  REQUIRE(only<link_::Signal>(heard).size() == 1);
  CHECK(only<link_::Signal>(heard)[0].number == 10);
  CHECK(only<link_::Leave>(heard).size() == 1);
  REQUIRE(only<link_::Stop>(heard).size() == 1);
  CHECK(only<link_::Stop>(heard)[0].grace_ms == 1'000);  // the most urgent of them
}

TEST_CASE("local job: what the old connection did not take is sent over the new one") {
  Rig rig;
  Shim before, after;
  rig.connect(before);
  before.mine.reset();  // gone, and nobody has noticed yet
  rig.job->send(link_::Stop{1'000});
  rig.connect(after);
  const auto heard = after.heard();
  REQUIRE(only<link_::Stop>(heard).size() == 1);
  CHECK(only<link_::Stop>(heard)[0].grace_ms == 1'000);
}

TEST_CASE("local job: stdin is not sent before the shim has said where it is") {
  Rig rig;
  Shim before, after;
  rig.connect(before);
  CHECK_FALSE(rig.job->takes_stdin());
  rig.lose(before);
  rig.job->send(link_::Stdin{0, as_bytes("not kept: its sender repeats it")});
  rig.connect(after);
  CHECK(only<link_::Stdin>(after.heard()).empty());
  const auto state =
      link_::encode(link_::FromShim(link_::State{5, 100, 0, 0, 0, true, false, 7, 0}));
  REQUIRE(os::send_message(after.mine.get(), as_bytes(state), {}) == os::IoStatus::kDone);
  rig.run_until([&] { return rig.job->takes_stdin(); });
  CHECK(rig.job->takes_stdin());
  CHECK(rig.job->stdin_offset() == 5);
}

namespace {

std::size_t open_descriptors() {
  const os::UniqueFd directory(::open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return job::list_directory(directory.get()).size();
}

void tell(Shim& shim, const link_::FromShim& message, std::span<const int> fds = {}) {
  const std::string bytes = link_::encode(message);
  REQUIRE(os::send_message(shim.mine.get(), as_bytes(bytes), fds) == os::IoStatus::kDone);
}

}  // namespace

TEST_CASE("local job: nobody reads it: the segments of its spool cost no descriptors") {
  Rig rig;
  Shim shim;
  rig.connect(shim);
  const os::UniqueFd segment(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::size_t before = open_descriptors();
  for (std::uint32_t i = 0; i < 8; ++i) tell(shim, link_::Segment{i, 0, 0, 0}, {{segment.get()}});
  tell(shim, link_::State{5, 100, 0, 0, 0, true, false, 7, 0});
  rig.run_until([&] { return rig.job->takes_stdin(); });
  CHECK(open_descriptors() == before);
}

TEST_CASE("local job: a shim of an older binary is sent what it understands") {
  Rig rig;
  Shim shim;
  rig.job->use_channel({rig.job->key(), {}, 7, 0, 1}, std::move(shim.theirs));
  rig.job->send(link_::Read{1, 2, 3});
  static std::vector<std::uint8_t> memory(os::kMaxMessage);
  REQUIRE(os::receive_message(shim.mine.get(), memory).status == os::IoStatus::kDone);
  CHECK(memory[1] == 1);
}
