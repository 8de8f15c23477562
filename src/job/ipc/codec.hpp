// Fields to bytes and back: big-endian numbers, u32 length + bytes. One `fields(F&, T&)` a struct
// serves both ways. Writing trips check() beyond a bound, reading remembers the failure; who reads
// asks finished() once at the end.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "src/base/bytes.hpp"
#include "src/base/check.hpp"

namespace rexec::job {

class Writer {
 public:
  template <class T>
    requires std::is_unsigned_v<T>
  void number(const T& value) {
    std::uint8_t bytes[sizeof(T)];
    store_be<T>(bytes, value);
    out_.append(reinterpret_cast<const char*>(bytes), sizeof(T));
  }
  void flag(const bool& value) { number<std::uint8_t>(value ? 1 : 0); }
  void text(const std::string& value, std::size_t limit) { bytes(as_bytes(value), limit); }
  void texts(const std::vector<std::string>& values, std::size_t limit) {
    number(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) text(value, limit);
  }
  void bytes(const ByteSpan& value, std::size_t limit) {
    check(value.size() <= limit, "link field within its bound");
    number(static_cast<std::uint32_t>(value.size()));
    out_.append(as_text(value));
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

// After the first failure every field reads as zero and finished() stays false.
class Reader {
 public:
  explicit Reader(ByteSpan bytes) : rest_(bytes) {}
  template <class T>
    requires std::is_unsigned_v<T>
  void number(T& value) {
    const ByteSpan field = take(sizeof(T));
    value = field.empty() ? T{0} : load_be<T>(field.data());
  }
  void flag(bool& value) {
    std::uint8_t byte = 0;
    number(byte);
    ok_ = ok_ && byte <= 1;
    value = byte == 1;
  }
  void text(std::string& value, std::size_t limit) {
    ByteSpan field;
    bytes(field, limit);
    value = as_text(field);
  }
  void texts(std::vector<std::string>& values, std::size_t limit) {
    std::uint32_t count = 0;
    number(count);
    for (std::uint32_t i = 0; ok_ && i < count; ++i) text(values.emplace_back(), limit);
  }
  void bytes(ByteSpan& value, std::size_t limit) {
    std::uint32_t size = 0;
    number(size);
    ok_ = ok_ && size <= limit;
    value = take(size);
  }
  void refuse() { ok_ = false; }
  bool ok() const { return ok_; }
  bool finished() const { return ok_ && rest_.empty(); }

 private:
  ByteSpan take(std::size_t n) {
    ok_ = ok_ && n <= rest_.size();
    if (!ok_) return {};
    const ByteSpan field = rest_.first(n);
    rest_ = rest_.subspan(n);
    return field;
  }
  ByteSpan rest_;
  bool ok_ = true;
};

}  // namespace rexec::job
