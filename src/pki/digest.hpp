// SHA-256, HMAC-SHA256 and comparison in constant time. Everything else in rexec that needs them
// calls these.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "src/base/bytes.hpp"

namespace rexec::pki {

using Digest = std::array<std::uint8_t, 32>;

// Over the concatenation of the parts; the caller frames parts of variable length.
Digest sha256(std::initializer_list<ByteSpan> parts);
inline Digest sha256(ByteSpan bytes) { return sha256({bytes}); }
// The same for what comes in pieces. finish() is the last call.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void add(ByteSpan bytes);
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};
Digest hmac_sha256(ByteSpan key, std::initializer_list<ByteSpan> parts);
// False for different lengths; otherwise takes the same time whatever differs (FAULTS A10).
bool constant_time_equal(ByteSpan a, ByteSpan b);

}  // namespace rexec::pki
