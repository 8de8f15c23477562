// Binding, running and reading for the aggregates (../tables), so that each of them is a list of
// columns. Internal to src/store: includes SQLiteCpp. Every table but audit carries `sum`, a
// checksum of the row's values: a flipped bit in a row's content is no error to SQLite, and serving
// it would be worse than not starting (FAULTS S6). Audit rows have their hash chain.
#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/clock.hpp"
#include "src/store/database/database.hpp"

namespace rexec::store {

struct Blob {
  std::string_view bytes;
};

inline std::int64_t to_ms(WallTime time) { return time.time_since_epoch().count(); }
inline WallTime from_ms(std::int64_t ms) { return WallTime(Millis(ms)); }

// The values outlive the statement's run: run() and query() take them by reference from the caller.
inline void bind_value(SQLite::Statement& to, int at, std::int64_t value) { to.bind(at, value); }
inline void bind_value(SQLite::Statement& to, int at, const std::string& value) {
  to.bindNoCopy(at, value);
}
inline void bind_value(SQLite::Statement& to, int at, WallTime value) { to.bind(at, to_ms(value)); }
inline void bind_value(SQLite::Statement& to, int at, const Blob& value) {
  to.bindNoCopy(at, value.bytes.data(), static_cast<int>(value.bytes.size()));
}
inline void bind_value(SQLite::Statement& to, int at, const std::optional<WallTime>& value) {
  if (value) return to.bind(at, to_ms(*value));
  to.bind(at);
}

// FNV-1a, 64 bits, of each value with its length: every change of one byte changes it.
class RowSum {
 public:
  void add(std::string_view bytes) {
    add(static_cast<std::int64_t>(bytes.size()));
    for (const char byte : bytes) step(static_cast<std::uint8_t>(byte));
  }
  void add(std::int64_t value) {
    for (int shift = 0; shift < 64; shift += 8) {
      step(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> shift));
    }
  }
  void add(const std::string& value) { add(std::string_view(value)); }
  void add(const Blob& value) { add(value.bytes); }
  void add(WallTime value) { add(to_ms(value)); }
  void add(const std::optional<WallTime>& value) { add(value ? to_ms(*value) : std::int64_t{-1}); }
  std::int64_t value() const { return static_cast<std::int64_t>(sum_); }

 private:
  void step(std::uint8_t byte) { sum_ = (sum_ ^ byte) * 0x100000001b3ULL; }
  std::uint64_t sum_ = 0xcbf29ce484222325ULL;
};

template <class... Values>
std::int64_t row_sum(const Values&... values) {
  RowSum sum;
  (sum.add(values), ...);
  return sum.value();
}

// Resets the statement however its run ends, so that no cursor stays open into the commit.
class Run {
 public:
  template <class... Values>
  Run(Database& db, const char* sql, const Values&... values) : statement_(db.statement(sql)) {
    int at = 0;
    (bind_value(statement_, ++at, values), ...);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() { statement_.tryReset(); }
  int exec() { return statement_.exec(); }
  bool step() { return statement_.executeStep(); }
  std::string text(int column) { return statement_.getColumn(column).getString(); }
  std::int64_t integer(int column) { return statement_.getColumn(column).getInt64(); }
  WallTime time(int column) { return from_ms(integer(column)); }
  std::optional<WallTime> maybe_time(int column) {
    if (statement_.getColumn(column).isNull()) return std::nullopt;
    return time(column);
  }

 private:
  SQLite::Statement& statement_;
};

// Rows changed.
template <class... Values>
int run(Database& db, const char* sql, const Values&... values) {
  return Run(db, sql, values...).exec();
}

// `read(Run&)` for each row.
template <class Read, class... Values>
auto query(Database& db, Read read, const char* sql, const Values&... values) {
  Run rows(db, sql, values...);
  std::vector<decltype(read(rows))> all;
  while (rows.step()) all.push_back(read(rows));
  return all;
}

template <class Read, class... Values>
auto query_one(Database& db, Read read, const char* sql, const Values&... values) {
  Run rows(db, sql, values...);
  std::optional<decltype(read(rows))> one;
  if (rows.step()) one = read(rows);
  return one;
}

// Throws kStore naming the table, the row, the file and the restore command.
[[noreturn]] void reject_damaged_row(Database& db, const char* table, const std::string& key);

}  // namespace rexec::store
