// What ended jobs take of the disk, and dropping the oldest of one user's.
#include "src/store/tables/ended_bytes.hpp"

#include <algorithm>

#include "src/store/tables/attempts.hpp"
#include "src/store/tables/drop_ended.hpp"
#include "src/store/tables/removed_keys.hpp"
#include "src/store/tables/terms.hpp"
#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;

namespace {

const UserId kAnn{"u-ann"}, kBob{"u-bob"};
constexpr std::uint64_t kAll = 1ULL << 40;

// Named by its number, which is when it ended, too.
JobRow ended_job(int number, const UserId& owner, char spec) {
  JobRow job = job_row("j-" + std::to_string(number));
  job.owner = owner;
  job.request = "request " + std::to_string(number);
  job.spec_hash = std::string(64, spec);
  job.state = "exited";
  job.record = R"({"outcome":"exited","code":0})";
  job.ended_ms = number;
  return job;
}

JobRow keyed_job(int number, const UserId& owner, char spec) {
  JobRow job = ended_job(number, owner, spec);
  job.keyed = true;
  return job;
}

// As a submit does.
void put(Database& db, const JobRow& job, std::size_t spec_bytes) {
  put_spec(db, job.spec_hash, std::string(spec_bytes, 's'));
  put_job(db, job);
}

DropEnded of(const UserId& owner, std::uint64_t bytes = kAll) {
  DropEnded which;
  which.owner = owner;
  which.bytes = bytes;
  which.keyed_before = WallTime(Millis(0));
  which.now = kNow;
  return which;
}

std::vector<JobId> ids(std::initializer_list<int> numbers) {
  std::vector<JobId> out;
  for (const int number : numbers) out.push_back({"j-" + std::to_string(number)});
  return out;
}

std::uint64_t bytes_of(const FreedJob& freed) { return freed.job.bytes + freed.job.spec_bytes; }

}  // namespace

TEST_CASE("ended bytes: what is added up is what the file has, within a third") {
  for (const std::size_t spec : {150UZ, 3'000UZ, 20'000UZ, 1'000'000UZ}) {
    CAPTURE(spec);
    const TempDir directory;
    auto store = open_store(directory.path);
    const int count = spec > 100'000 ? 20 : 1'000;
    REQUIRE(store->run_now([&](Database& db) {
      const std::uint64_t before = used_bytes(db);
      for (int i = 1; i <= count; ++i) {
        JobRow job = job_row();
        job.request = random_id('q') + random_id('q');
        job.spec_hash = random_id('a') + random_id('b') + random_id('c') + random_id('d');
        job.ended_ms = i;
        job.record = std::string(300, 'r');
        put(db, job, spec);
      }
      std::uint64_t sum = 0;
      for (const EndedJob& job : list_ended_jobs(db, {}, 10'000)) sum += job.bytes + job.spec_bytes;
      const auto real = static_cast<double>(used_bytes(db) - before);
      CHECK(static_cast<double>(sum) > real * 2 / 3);
      CHECK(static_cast<double>(sum) < real * 4 / 3);
    }));
  }
}

TEST_CASE("ended bytes: attempts, terms and a small command count with the job") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    JobRow plain = ended_job(1, kAnn, 'a'), rich = ended_job(2, kAnn, 'b');
    JobRow waiting = ended_job(3, kAnn, 'c');
    rich.attempt = 3;
    waiting.ended_ms = 0;
    put_job(db, plain);
    put(db, rich, 1000);
    put(db, waiting, 9999);
    put_attempt(db, {rich.id, 1, std::string(500, 'r')});
    put_attempt(db, {rich.id, 2, std::string(500, 'r')});
    put_terms(db, {rich.id, std::string(2000, 't')});
    const auto less = measure_ended_job(db, plain.id), more = measure_ended_job(db, rich.id);
    REQUIRE((less && more));
    CHECK((more->bytes > less->bytes + 4000 && more->bytes < less->bytes + 4500));
    CHECK((more->spec == 0 && more->spec_bytes == 0));
    CHECK((more->owner == kAnn && more->place.ended_ms == 2));
    CHECK_FALSE(measure_ended_job(db, waiting.id));
    CHECK_FALSE(measure_ended_job(db, {"j-unknown"}));
    CHECK_FALSE(remove_job(db, waiting.id));
  }));
}

TEST_CASE("ended bytes: a large command is freed with the last job that has it") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    for (const JobRow& job : {ended_job(1, kAnn, 'a'), ended_job(2, kBob, 'a')})
      put(db, job, 50'000);
    const auto first = remove_job(db, {"j-1"});
    REQUIRE(first);
    CHECK(first->job.spec_bytes > 50'000);
    CHECK(first->keeper == kBob);
    const auto last = remove_job(db, {"j-2"});
    REQUIRE(last);
    CHECK(last->job.spec == first->job.spec);
    CHECK(last->keeper.empty());
  }));
}

TEST_CASE("ended bytes: pages have every ended job once, also those of one moment") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    for (int i = 0; i < 100; ++i) {
      JobRow job = job_row();
      job.ended_ms = i < 10 ? 0 : 1 + i / 30;
      put_job(db, job);
    }
    std::vector<EndPlace> places;
    for (EndPlace after;;) {
      const auto page = list_ended_jobs(db, after, 7);
      for (const EndedJob& job : page) places.push_back(job.place);
      if (page.size() < 7) break;
      after = page.back().place;
    }
    CHECK(places.size() == 90);
    CHECK(std::ranges::is_sorted(places));
    CHECK(std::ranges::adjacent_find(places) == places.end());
  }));
}

TEST_CASE("drop ended: the user's oldest go, until enough is free; nobody else's, none that runs") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    for (const int i : {1, 3, 5}) put(db, ended_job(i, kBob, 'z'), 10'000);
    for (const int i : {2, 4, 6, 8})
      put(db, ended_job(i, kAnn, static_cast<char>('a' + i)), 10'000);
    JobRow runs = ended_job(7, kAnn, 'r');
    runs.ended_ms = 0;
    put(db, runs, 10'000);
    const DroppedEnded some = drop_ended_jobs(db, of(kAnn, 12'000));
    CHECK(some.gone.ids == ids({2, 4}));
    CHECK(some.gone.keys.size() == 2);
    CHECK_FALSE(some.is_last);
    REQUIRE(some.gone.freed.size() == 2);
    CHECK(bytes_of(some.gone.freed[0]) > 10'000);
    CHECK_FALSE(find_spec(db, std::string(64, 'a' + 2)));
    CHECK(find_spec(db, std::string(64, 'z')));
    DropEnded rest = of(kAnn);
    rest.after = some.next;
    const DroppedEnded others = drop_ended_jobs(db, rest);
    CHECK(others.gone.ids == ids({6, 8}));
    CHECK((others.is_last && !others.before));
    CHECK(list_ended_jobs(db, {}, 10).size() == 3);
    CHECK(find_job(db, {"j-7"}));
    CHECK(find_spec(db, std::string(64, 'r')));
  }));
}

TEST_CASE("drop ended: one step looks at so many jobs and drops so many") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    for (int i = 1; i <= 20; ++i) put(db, ended_job(i, i <= 10 ? kBob : kAnn, 'a'), 10);
    DropEnded which = of(kAnn);
    which.most_looked_at = 12;
    DroppedEnded step = drop_ended_jobs(db, which);
    CHECK(step.gone.ids == ids({11, 12}));
    CHECK((step.next.ended_ms == 12 && !step.is_last));
    which.after = step.next;
    which.limit = 3;
    step = drop_ended_jobs(db, which);
    CHECK(step.gone.ids == ids({13, 14, 15}));
    CHECK((step.next.ended_ms == 15 && !step.is_last));
    CHECK(steps_of_scans(db) == 0);
  }));
}

TEST_CASE("drop ended: a job with a key stays without its command, and then its key stays") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    put(db, keyed_job(1, kAnn, 'a'), 10'000);  // longer ago than keys are kept
    put(db, keyed_job(2, kAnn, 'b'), 10'000);
    put(db, keyed_job(3, kAnn, 'c'), 10'000);  // another job has its command
    put(db, ended_job(4, kBob, 'c'), 10'000);
    put(db, ended_job(5, kAnn, 'd'), 10'000);
    DropEnded which = of(kAnn);
    which.keyed_before = WallTime(Millis(2));
    const DroppedEnded first = drop_ended_jobs(db, which);
    CHECK(first.gone.ids == ids({1, 5}));
    CHECK(first.is_last);
    REQUIRE(first.gone.freed.size() == 3);
    CHECK(first.gone.freed[1].job.bytes == 0);
    CHECK(first.gone.freed[1].job.spec_bytes > 10'000);
    REQUIRE(first.before);
    CHECK((first.before->ended_ms == 1));
    CHECK(find_job(db, {"j-2"})->keyed);
    CHECK_FALSE(find_spec(db, std::string(64, 'b')));
    CHECK(find_spec(db, std::string(64, 'c')));
    which.after = *first.before;
    which.keyed = Keyed::kGo;
    const DroppedEnded second = drop_ended_jobs(db, which);
    CHECK(second.gone.ids == ids({2, 3}));
    CHECK(second.gone.keys.empty());  // their requests are known: nothing starts twice
    CHECK(find_removed_key(db, kAnn, "request 3")->job == JobId{"j-3"});
    CHECK(is_request_known(db, kAnn, "request 2"));
    CHECK_FALSE(is_request_known(db, kAnn, "request 5"));
    CHECK(find_spec(db, std::string(64, 'c')));  // the other's
    CHECK(steps_of_scans(db) == 0);
  }));
}

TEST_CASE("ended bytes: while the database is small an operation learns its size alone") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    put(db, ended_job(1, kAnn, 'a'), 100);
    put(db, job_row("j-2"), 100);
    const std::vector<JobId> written = ids({1});
    const MeasuredEnds whole = measure_ends(db, written, Measure::kDatabase);
    CHECK(whole.jobs.size() == 1);
    CHECK(whole.used == used_bytes(db));
    const MeasuredEnds each = measure_ends(db, ids({1, 2, 3}), Measure::kEachJob);
    CHECK_FALSE(each.used);
    REQUIRE(each.jobs.size() == 1);
    CHECK(each.jobs.front().job == written.front());
    REQUIRE(each.jobs.front().size);
    CHECK(each.jobs.front().size->bytes == measure_ended_job(db, written.front())->bytes);
    const MeasuredEnds none = measure_ends(db, written, Measure::kNothing);
    CHECK(none.jobs.size() == 1);
    CHECK_FALSE(none.used);
    CHECK_FALSE(measure_ends(db, {}, Measure::kDatabase).used);
  }));
}
