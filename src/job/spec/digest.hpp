// The running digests of one output stream: XXH3-128 always, SHA-256 when asked. Bytes from offset
// 0 on, in order; nothing is kept.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "src/base/bytes.hpp"

namespace rexec::job {

enum class Sha256 { kOff, kOn };

class StreamDigest {
 public:
  explicit StreamDigest(Sha256 sha256);
  StreamDigest(StreamDigest&&) noexcept;
  StreamDigest& operator=(StreamDigest&&) noexcept;
  ~StreamDigest();
  void add(ByteSpan bytes);
  // Canonical (big-endian) hexadecimal, 32 characters. May be asked at any time.
  std::string xxh128() const;
  // 64 characters, empty when off.
  std::string sha256() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rexec::job
