// See row_check.hpp.
#include "src/store/file/row_check.hpp"

#include <SQLiteCpp/Column.h>
#include <sqlite3.h>

#include <optional>

#include "src/store/database/sql.hpp"

namespace rexec::store {
namespace {

void add(RowSum& sum, const SQLite::Column& value) {
  if (value.isNull()) return sum.add(std::int64_t{-1});
  if (value.isInteger()) return sum.add(value.getInt64());
  const auto* bytes = static_cast<const char*>(value.getBlob());
  sum.add(std::string_view(bytes, static_cast<std::size_t>(value.getBytes())));
}

std::optional<int> column_of_sum(const SQLite::Statement& rows) {
  for (int i = 0; i < rows.getColumnCount(); ++i)
    if (rows.getColumnName(i) == std::string_view("sum")) return i;
  return std::nullopt;
}

// A column behind `sum` came with a later schema: it counts only where it says something.
std::int64_t sum_of(SQLite::Statement& row, int sum_column) {
  RowSum sum;
  for (int i = 0; i < sum_column; ++i) add(sum, row.getColumn(i));
  for (int i = sum_column + 1; i < row.getColumnCount(); ++i)
    if (row.getColumn(i).getInt64() != 0) add(sum, row.getColumn(i));
  return sum.value();
}

void check_table(Database& db, const std::string& table) {
  SQLite::Statement rows(db.connection(), "SELECT * FROM \"" + table + "\"");
  const auto sum_column = column_of_sum(rows);
  if (!sum_column) return;  // audit has its chain, the files in a backup are the backup's
  while (rows.executeStep())
    if (sum_of(rows, *sum_column) != rows.getColumn(*sum_column).getInt64())
      reject_damaged_row(db, table.c_str(), rows.getColumn(0).getString());
}

}  // namespace

void check_rows(Database& db) {
  const auto tables = query(
      db, [](Run& row) { return row.text(0); },
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'");
  for (const std::string& table : tables) check_table(db, table);
}

}  // namespace rexec::store
