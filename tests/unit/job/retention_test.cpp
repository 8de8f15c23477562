// What goes of ended attempts, and what a directory counts for.
#include "src/job/spool/retention.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <fstream>

#include "src/os/fd.hpp"
#include "tests/unit/job/temp_dir.hpp"

namespace rexec::job {
namespace {

constexpr std::uint64_t kLarge = 1000 << 10;
constexpr std::uint64_t kSmall = 4 << 10;
const WallTime kNow(std::chrono::hours(24 * 20000));
const RetentionLimits kLimits{3000 << 10, 3000 << 10, std::chrono::hours(7 * 24),
                              std::chrono::minutes(1)};

// j-00000000000N, reported so many hours ago.
Kept kept(int number, std::uint64_t output, int hours_ago) {
  Kept out{.key = {JobId{"j-00000000000" + std::to_string(number)}, 1}, .output = output};
  out.reported = kNow - std::chrono::hours(hours_ago);
  return out;
}

Kept read(Kept kept, Millis ago = std::chrono::hours(1)) {
  kept.read = kNow - ago;
  kept.is_foreground = true;
  return kept;
}

Kept foreground(Kept kept) {
  kept.is_foreground = true;
  return kept;
}

// "1" all of it, "1o" its output, "1r" the same because it was read.
std::string chosen(std::vector<Kept> all, const RetentionLimits& limits = kLimits) {
  std::string text;
  for (const Going& going : choose_going(std::move(all), limits, kNow)) {
    text += going.key.job.text.back();
    if (going.part == Part::kOutput) text += going.why == GivenUp::kRead ? 'r' : 'o';
  }
  return text;
}

TEST_CASE("retention: older than a week goes") {
  CHECK(chosen({}) == "");
  CHECK(chosen({kept(1, 10, 8 * 24), kept(2, 10, 6 * 24)}) == "1");
}

TEST_CASE("retention: beyond the total output goes, the oldest first, and a note stays") {
  CHECK(chosen({kept(1, kLarge, 1), kept(2, kLarge, 3), kept(3, kLarge, 2)}) == "");
  CHECK(chosen({kept(1, kLarge, 1), kept(2, kLarge, 3), kept(3, kLarge, 2), kept(4, 1, 9)}) ==
        "2o");
  CHECK(chosen({kept(1, 4 * kLarge, 1), kept(2, kLarge, 2)}) == "1o2o");
}

TEST_CASE("retention: what was read goes first, the largest of it before the rest") {
  CHECK(chosen({kept(1, kLarge, 50), kept(2, kLarge, 40), read(kept(3, kLarge / 2, 3), {}),
                read(kept(4, kLarge, 2), {})}) == "4o");
  // However small and young.
  CHECK(chosen({kept(1, 3 * kLarge, 50), read(kept(2, kSmall, 0), {})}) == "2o");
}

TEST_CASE("retention: large unread output goes before small, a foreground run's before detached") {
  const auto all = [](std::uint64_t large) {
    return std::vector<Kept>{kept(1, kSmall, 100), foreground(kept(2, kSmall, 90)),
                             kept(3, large, 1)};
  };
  CHECK(chosen(all(3 * kLarge)) == "3o");
  const RetentionLimits tight{kSmall, kSmall, kLimits.age, kLimits.read};
  CHECK(chosen(all(kLarge), tight) == "2o3");
}

TEST_CASE("retention: a job that wrote nothing goes before any small output, however old that is") {
  Kept nothing = kept(2, 0, 1);
  nothing.beside = 3 * kLarge;
  CHECK(chosen({kept(1, kSmall, 100), nothing}) == "2o");
}

TEST_CASE("retention: small output costs no more than the notes of what was read do") {
  // Notes alone are more than there may be, and the small output is older than all of them.
  Kept note = read(kept(2, 0, 1));
  note.rest = 4000 << 10;
  CHECK(chosen({kept(1, kSmall, 100), note}) == "2");
}

// Of output that is gone; this one takes as much as there is for all of them.
Kept note(int number, int hours_ago) {
  Kept out = kept(number, 0, hours_ago);
  out.rest = kLimits.notes;
  return out;
}

TEST_CASE("retention: a note goes only when the output that goes before it is not enough") {
  CHECK(chosen({read(note(1, 50)), kept(2, 2 * kLarge, 2), kept(3, 2 * kLarge, 1)}) == "2o");
  CHECK(chosen({note(1, 50), kept(2, 2 * kLarge, 2), read(kept(3, 2 * kLarge, 1), {})}) == "3o");
  // All of it goes, and that comes to less than what is to be left.
  const RetentionLimits lower{3000 << 10, 2000 << 10, kLimits.age, kLimits.read};
  Kept most = note(1, 50);
  most.rest = 2500 << 10;
  RetentionLimits noted = lower;
  noted.notes = most.rest;
  CHECK(chosen({most, kept(2, kLarge, 2)}, noted) == "2o");
}

TEST_CASE("retention: notes go before small output, the oldest first, read or not") {
  const RetentionLimits tight{2 * kLimits.notes, 2 * kLimits.notes, kLimits.age, kLimits.read};
  CHECK(chosen({kept(1, kSmall, 100), note(2, 3), read(note(3, 4)), note(4, 2)}, tight) == "23");
  CHECK(chosen({kept(1, kSmall, 100), read(note(2, 3)), note(3, 4), note(4, 2)}, tight) == "23");
}

TEST_CASE("retention: more notes than their share go before large output, the oldest first") {
  const auto beside = [](std::uint64_t large) {
    return chosen({note(1, 3), read(note(2, 2)), read(note(3, 1)), kept(4, large, 9)});
  };
  CHECK(beside(3 * kLarge - kLimits.notes) == "12");
  CHECK(beside(2 * kLarge) == "");
}

TEST_CASE("retention: the files beside an output go with it, and are no large output") {
  Kept script = read(kept(1, kSmall, 0));
  script.beside = kLarge;
  CHECK(chosen({script}) == "");  // read, and its output is small: it stays its week
  Kept beyond = kept(1, kSmall, 3);
  beyond.beside = 3 * kLarge;
  CHECK(chosen({beyond}) == "1o");
}

TEST_CASE("retention: read output goes after a while, unless it is small") {
  CHECK(chosen({read(kept(1, kLarge, 0), std::chrono::seconds(59))}) == "");
  CHECK(chosen({read(kept(1, kLarge, 0), std::chrono::seconds(60))}) == "1r");
  CHECK(chosen({read(kept(1, kSmallOutput, 0))}) == "");
  CHECK(chosen({foreground(kept(1, kLarge, 100))}) == "");
  const RetentionLimits at_once{kLimits.bytes, kLimits.down_to, kLimits.age, Millis{0}};
  CHECK(chosen({read(kept(1, kLarge, 0), Millis{0})}, at_once) == "1r");
  CHECK(due_when_read(read(kept(1, kLarge, 0), Millis{0}), kLimits) ==
        kNow + std::chrono::minutes(1));
  CHECK(!due_when_read(kept(1, kLarge, 0), kLimits));
}

TEST_CASE("retention: what a client with stdin and no terminal left behind counts as read") {
  EndRecord ended;
  ended.reason = kClientEnded;
  EndRecord stopped;
  stopped.reason = "disconnect";
  JobSpec input;
  input.forward_stdin = true;
  JobSpec terminal = input;
  terminal.tty.emplace();
  CHECK(counts_as_read(input, ended));
  CHECK(!counts_as_read(input, stopped));
  CHECK(!counts_as_read(terminal, ended));
  CHECK(!counts_as_read(JobSpec{}, ended));
}

TEST_CASE("retention: what counts as read goes as what was read does, for its own reason") {
  Kept left = read(kept(1, kLarge, 1));
  left.read_as = GivenUp::kClientEnded;
  CHECK(choose_going({left}, kLimits, kNow) ==
        std::vector<Going>{{left.key, Part::kOutput, GivenUp::kClientEnded}});
  left.read = kNow;
  CHECK(chosen({kept(2, kLarge, 50), kept(3, kLarge, 50), kept(4, kLarge, 50), left}) == "1o");
}

TEST_CASE("retention: beyond the total some more goes, so that the next look is a while away") {
  const RetentionLimits limits{3000 << 10, 2000 << 10, kLimits.age, kLimits.read};
  CHECK(chosen({kept(1, kLarge, 3), kept(2, kLarge, 2), kept(3, kLarge, 1)}, limits) == "");
  CHECK(chosen({kept(1, kLarge, 3), kept(2, kLarge, 2), kept(3, kLarge + 1, 1)}, limits) == "1o2o");
}

TEST_CASE("retention: an attempt never goes before the earlier ones of its job") {
  const auto key = [](const char* job, std::uint32_t attempt) {
    return AttemptKey{{job}, attempt};
  };
  const auto all_of = [&](const char* job, std::uint32_t attempt) {
    return Going{key(job, attempt), Part::kAll, GivenUp::kNot};
  };
  const std::vector<AttemptKey> all{key("j-b", 3), key("j-a", 1), key("j-b", 1),
                                    key("j-b", 2), key("j-b", 4), key("j-c", 1)};
  // Its predecessors were not reported, or later than it: left behind, the third would begin again.
  CHECK(with_predecessors({all_of("j-b", 3), all_of("j-a", 1)}, all) ==
        std::vector{all_of("j-b", 1), all_of("j-b", 2), all_of("j-b", 3), all_of("j-a", 1)});
  CHECK(with_predecessors({all_of("j-b", 1), all_of("j-b", 2)}, all) ==
        std::vector{all_of("j-b", 1), all_of("j-b", 2)});
  CHECK(with_predecessors({}, all).empty());
}

TEST_CASE("retention: only the last attempt of a job leaves a note of its output") {
  const AttemptKey first{{"j-a"}, 1}, second{{"j-a"}, 2};
  CHECK(with_predecessors({{first, Part::kOutput, GivenUp::kRoom}}, {first, second}) ==
        std::vector<Going>{{first, Part::kAll, GivenUp::kRoom}});
  CHECK(with_predecessors({{second, Part::kOutput, GivenUp::kRoom}}, {first, second}) ==
        std::vector<Going>{{first, Part::kAll, GivenUp::kRoom},
                           {second, Part::kOutput, GivenUp::kRoom}});
}

TEST_CASE("retention: a directory counts for what is in it, not for the one around it") {
  TempDir dir;
  const std::string attempt = dir.path() + "/one";
  ::mkdir(attempt.c_str(), 0700);
  // What is beside it makes the directory around it large.
  for (int i = 0; i < 2000; ++i)
    std::ofstream(dir.path() + "/" + std::string(100, 'x') + std::to_string(i));
  const auto write = [&](const char* name, std::size_t bytes) {
    std::ofstream(attempt + "/" + name) << std::string(bytes, 'x');
  };
  write("out.000000", 300'000);
  write("spec", 100'000);
  write("exit", 10);
  const os::UniqueFd fd(::open(attempt.c_str(), O_RDONLY | O_DIRECTORY));
  const AttemptKey key{JobId{"j-000000000001"}, 1};
  CHECK(measure_attempt(key, fd.get()).output == 0);  // not reported
  write("reported", 0);
  const Kept kept = measure_attempt(key, fd.get());
  CHECK(!kept.read);
  CHECK(kept.output >= 300'000);
  CHECK(kept.output < 340'000);
  CHECK(kept.beside >= 100'000);
  CHECK(kept.beside < 140'000);
  CHECK(kept.rest < 20'000);
  write("read", 0);
  CHECK(measure_attempt(key, fd.get()).read);
}

TEST_CASE("retention: of a client that ended only large output counts as read") {
  const auto measured = [](std::size_t bytes, bool was_read) {
    TempDir dir;
    std::ofstream(dir.path() + "/out.000000") << std::string(bytes, 'x');
    for (const char* name : {"reported", "left"}) std::ofstream(dir.path() + "/" + name) << "";
    if (was_read) std::ofstream(dir.path() + "/read") << "";
    return measure_attempt({JobId{"j-000000000001"}, 1}, dir.fd());
  };
  CHECK(measured(kLarge, false).read);
  CHECK(measured(kLarge, false).read_as == GivenUp::kClientEnded);
  CHECK(measured(kLarge, true).read_as == GivenUp::kRead);
  CHECK(!measured(kSmall, false).read);
}

TEST_CASE("retention: when it was read counts to the millisecond, and never as earlier") {
  TempDir dir;
  const std::string read = dir.path() + "/read";
  std::ofstream(dir.path() + "/reported") << "";
  std::ofstream(dir.path() + "/out.000000") << std::string(kLarge, 'x');
  std::ofstream(read) << "";
  const std::array<timespec, 2> times{{{0, UTIME_OMIT}, {1'700'000'000, 700'000'001}}};
  ::utimensat(AT_FDCWD, read.c_str(), times.data(), 0);
  const Kept kept = measure_attempt({JobId{"j-000000000001"}, 1}, dir.fd());
  CHECK(kept.read == WallTime(Millis(1'700'000'000'701)));
  CHECK(due_when_read(kept, kLimits) == WallTime(Millis(1'700'000'060'701)));
}

TEST_CASE("retention: of the files that go with the output the largest is the last") {
  TempDir dir;
  for (const auto& [name, bytes] :
       {std::pair{"out.000000", 300'000}, std::pair{"out.000001", 10'000},
        std::pair{"spec", 90'000}, std::pair{"exit", 400'000}, std::pair{"read", 0},
        std::pair{"reported", 0}})
    std::ofstream(dir.path() + "/" + name) << std::string(static_cast<std::size_t>(bytes), 'x');
  CHECK(files_of_output(dir.fd()) == std::vector<std::string>{"out.000001", "spec", "out.000000"});
}

}  // namespace
}  // namespace rexec::job
