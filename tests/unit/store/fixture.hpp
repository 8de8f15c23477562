// What the store's tests share: a store in a directory of its own, rows to put in, and a child
// process to kill.
#pragma once

#include <SQLiteCpp/Database.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <future>
#include <memory>
#include <string>

#include "src/base/ids.hpp"
#include "src/pki/authority.hpp"
#include "src/store/engine/store.hpp"
#include "src/store/tables/enrolment.hpp"
#include "tests/unit/base/temp_dir.hpp"

namespace rexec::store {

inline const WallTime kNow{Millis(1'790'000'000'000)};

inline StoreOptions options_for(const std::string& directory) {
  StoreOptions options;
  options.directory = directory;
  options.mode = OpenMode::kCreate;
  options.ballast_bytes = 0;
  return options;
}

inline std::unique_ptr<Store> open_store(const std::string& directory) {
  auto store = Store::open(options_for(directory));
  if (!store) FAIL(store.error().message);
  return std::move(*store);
}

// Posts and waits for the commit.
inline Result<void> commit(Store& store, Store::Operation operation) {
  std::promise<Result<void>> done;
  store.post(std::move(operation), [&](Result<void> r) { done.set_value(std::move(r)); });
  return done.get_future().get();
}

template <class T>
Result<T> ask(Store& store, std::move_only_function<Result<T>(Database&)> operation) {
  std::promise<Result<T>> done;
  store.ask<T>(std::move(operation), [&](Result<T> r) { done.set_value(std::move(r)); });
  return done.get_future().get();
}

// Rows that statements looked at one after the other because no index led to them.
inline int steps_of_scans(Database& db) {
  int steps = 0;
  sqlite3_stmt* at = nullptr;
  while ((at = sqlite3_next_stmt(db.connection().getHandle(), at)) != nullptr)
    steps += sqlite3_stmt_status(at, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0);
  return steps;
}

inline JobRow job_row(const std::string& id = random_id('j')) {
  JobRow job;
  job.id = JobId{id};
  job.run = RunId{"r-0123456789ab"};
  job.node = NodeId{"n-0123456789ab"};
  job.node_name = "node42";
  job.owner = UserId{"u-0123456789ab"};
  job.owner_name = "ann";
  job.summary = "make -j2 all";
  job.spec_hash = std::string(64, 'a');
  job.request = std::string(32, 'b');
  job.state = "accepted";
  job.created_ms = kNow.time_since_epoch().count();
  job.ticket = "k1_" + std::string(200, 'c');
  job.mode = JobMode::kDetached;
  return job;
}

inline NodeRow node_row(const std::string& name) {
  return {NodeId{random_id('n')}, name, R"({"zone":"a"})", "77", kNow, "ops", std::nullopt};
}

inline UserRow user_row(const std::string& name, UserRole role) {
  return {UserId{random_id('u')}, name, role, kNow, std::nullopt};
}

inline TokenRow token_row() {
  TokenRow token;
  token.id = random_id('t');
  token.name = "node42";
  token.labels = R"({"zone":"a"})";
  token.created_by = "ann";
  token.created = kNow;
  token.expires = kNow + std::chrono::minutes(30);
  return token;
}

// Runs `body` in a child that never returns from it and is killed with SIGKILL once it wrote a byte
// to the pipe it is given.
inline void kill_child(const std::function<void(int)>& body) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(ends[0]);
    body(ends[1]);
    _exit(99);
  }
  close(ends[1]);
  char byte = 0;
  const ssize_t got = read(ends[0], &byte, 1);
  kill(child, SIGKILL);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  close(ends[0]);
  REQUIRE(got == 1);
  REQUIRE(WIFSIGNALED(status));
}

[[noreturn]] inline void report_and_wait(int pipe_end) {
  static_cast<void>(!write(pipe_end, "x", 1));
  while (true) pause();
}

}  // namespace rexec::store
