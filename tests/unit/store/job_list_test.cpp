// Finished jobs by pages: every one once, in order, whatever is asked for and added meanwhile.
#include "src/store/tables/job_list.hpp"

#include <SQLiteCpp/Database.h>

#include <algorithm>
#include <random>

#include "tests/unit/store/fixture.hpp"

using namespace rexec;
using namespace rexec::store;

namespace {

std::vector<JobRow> some_jobs(int count) {
  std::mt19937 random(11);
  std::vector<JobRow> jobs;
  for (int i = 0; i < count; ++i) {
    JobRow job = job_row();
    job.owner.text = random() % 4 == 0 ? "u-rare" : "u-often";
    job.node_name = "n" + std::to_string(random() % 3);
    job.state = random() % 5 == 0 ? "lost" : "exited";
    job.created_ms = 1000 + static_cast<int>(random() % 40);  // many of one moment
    job.ended_ms = random() % 10 == 0 ? 0 : 5000;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

bool fits(const JobRow& job, const JobFilter& filter) {
  return job.ended_ms > 0 && (filter.owner.empty() || job.owner == filter.owner) &&
         (filter.node_name.empty() || job.node_name == filter.node_name) &&
         (filter.state.empty() || job.state == filter.state);
}

std::vector<std::string> expected(std::vector<JobRow> jobs, const JobFilter& filter) {
  std::erase_if(jobs, [&](const JobRow& job) { return !fits(job, filter); });
  std::sort(jobs.begin(), jobs.end(), [](const JobRow& a, const JobRow& b) {
    return JobPlace{a.created_ms, a.id.text}.is_before({b.created_ms, b.id.text});
  });
  std::vector<std::string> ids;
  for (const JobRow& job : jobs) ids.push_back(job.id.text);
  return ids;
}

std::vector<std::string> listed(Database& db, JobPageOptions options) {
  std::vector<std::string> ids;
  while (true) {
    const JobPage page = list_finished_jobs(db, options);
    CHECK(page.rows.size() <= options.limit);
    for (const JobRow& job : page.rows) ids.push_back(job.id.text);
    if (!page.next) return ids;
    options.after = *page.next;
  }
}

}  // namespace

TEST_CASE("job list: each way of asking gives every job that fits once, newest first") {
  const TempDir directory;
  auto store = open_store(directory.path);
  const auto jobs = some_jobs(500);
  REQUIRE(store->run_now([&](Database& db) {
    for (const JobRow& job : jobs) put_job(db, job);
    for (const char* owner : {"", "u-rare", "u-nobody"})
      for (const char* node : {"", "n1"})
        for (const char* state : {"", "lost"})
          for (const std::size_t limit : {1U, 7U, 600U}) {
            const JobFilter filter{{owner}, node, state};
            CHECK(listed(db, {filter, {}, limit}) == expected(jobs, filter));
          }
  }));
}

TEST_CASE("job list: a call looks at so many rows and no more") {
  const TempDir directory;
  auto store = open_store(directory.path);
  const auto jobs = some_jobs(300);
  REQUIRE(store->run_now([&](Database& db) {
    for (const JobRow& job : jobs) put_job(db, job);
    const JobFilter none{{"u-often"}, "n1", "unheard of"};
    const JobPage page = list_finished_jobs(db, {none, {}, 10, 5});
    CHECK(page.rows.empty());
    CHECK(page.next);
    CHECK(listed(db, {none, {}, 10, 5}).empty());
  }));
}

TEST_CASE("job list: what is added between two pages neither repeats nor skips a job") {
  const TempDir directory;
  auto store = open_store(directory.path);
  REQUIRE(store->run_now([&](Database& db) {
    std::vector<JobRow> jobs = some_jobs(50);
    for (JobRow& job : jobs) {
      job.ended_ms = 5000;
      put_job(db, job);
    }
    const JobPage first = list_finished_jobs(db, {{}, {}, 20});
    JobRow newer = job_row();
    newer.created_ms = 9000;
    newer.ended_ms = 9001;
    put_job(db, newer);
    std::vector<std::string> ids;
    for (const JobRow& job : first.rows) ids.push_back(job.id.text);
    const auto rest = listed(db, {{}, first.next.value(), 20});
    ids.insert(ids.end(), rest.begin(), rest.end());
    CHECK(ids == expected(jobs, {}));
  }));
}

TEST_CASE("job list: a row whose bytes were changed is refused by name, not listed") {  // FAULTS S6
  const TempDir directory;
  auto store = open_store(directory.path);
  JobRow job = job_row();
  job.ended_ms = 5;
  const auto result = store->run_now([&](Database& db) {
    put_job(db, job);
    db.connection().exec("UPDATE jobs SET summary = 'rm -rf /'");
    list_finished_jobs(db, {});
  });
  REQUIRE_FALSE(result);
  CHECK(result.error().message.find(job.id.text) != std::string::npos);
}
