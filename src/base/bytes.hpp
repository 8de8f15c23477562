// Bytes as the wire and the spool move them: an owned buffer that is not zeroed first, big-endian
// integers, hexadecimal and base32. No I/O apart from random_bytes().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace rexec {

using ByteSpan = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

// Owned, movable, uninitialised memory with a size and a start offset. consume() drops bytes from
// the front without moving the rest.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t size)
      : memory_(std::make_unique_for_overwrite<std::uint8_t[]>(size)), end_(size) {}
  explicit Buffer(ByteSpan bytes) : Buffer(bytes.size()) {
    if (!bytes.empty()) std::memcpy(memory_.get(), bytes.data(), bytes.size());
  }
  Buffer(Buffer&& other) noexcept
      : memory_(std::move(other.memory_)),
        begin_(std::exchange(other.begin_, 0)),
        end_(std::exchange(other.end_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    memory_ = std::move(other.memory_);
    begin_ = std::exchange(other.begin_, 0);
    end_ = std::exchange(other.end_, 0);
    return *this;
  }
  std::uint8_t* data() { return memory_.get() + begin_; }
  const std::uint8_t* data() const { return memory_.get() + begin_; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  operator ByteSpan() const { return {data(), size()}; }
  MutableBytes writable() { return {data(), size()}; }
  void consume(std::size_t n) { begin_ += n; }
  // Keeps the first n bytes.
  void truncate(std::size_t n) { end_ = begin_ + n; }

 private:
  std::unique_ptr<std::uint8_t[]> memory_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Big-endian, unaligned. The caller has checked that the bytes are there.
template <class T>
T load_be(const std::uint8_t* from) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((value << 8) | from[i]);
  return value;
}
template <class T>
void store_be(std::uint8_t* to, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    to[i] = static_cast<std::uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
  }
}

// Lower-case hexadecimal of the bytes.
std::string to_hex(ByteSpan bytes);
// Crockford base32 (0-9 a-z without i l o u), lower case, 5 bits a character, most significant
// first, zero-padded at the end.
std::string to_base32(ByteSpan bytes);
// The reverse; accepts upper case, i and l as 1, o as 0. False on any other character, on non-zero
// padding bits and on a length that no whole number of bytes has.
bool from_base32(std::string_view text, std::string& bytes_out);
// getrandom(2), all of it; waits for the kernel's pool at early boot.
void random_bytes(MutableBytes out);

}  // namespace rexec
