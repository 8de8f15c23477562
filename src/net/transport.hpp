// A connected byte stream on a non-blocking descriptor: TLS (tls.hpp) or, between a client and its
// kept connection, a Unix socket. It says what it waits for and never waits itself;
// session_driver.* does that.
#pragma once

#include <cstddef>
#include <string>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"

namespace rexec::net {

enum class Io { kDone, kWantRead, kWantWrite, kEof, kFailed };

// What kFailed was about: the connection broke, which a new one may mend; the peer refuses us for
// good; something else is wrong with the peer or its bytes.
enum class Failure { kCut, kRefused, kOther };

struct IoResult {
  Io status = Io::kDone;
  std::size_t bytes = 0;
  // Of a read: the peer had no more to say when it came, as far as can be told without asking once
  // more.
  bool drained = false;
};

class Transport {
 public:
  virtual ~Transport() = default;
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  // At most to.size() bytes. kEof is a clean end (close_notify); a bare TCP end is kFailed.
  virtual IoResult read(MutableBytes to) = 0;
  virtual IoResult write(ByteSpan from) = 0;
  // The same for a part of a flight: what was taken may wait here until flush(), which the caller
  // owes in the same turn, also after kWantWrite of either once the descriptor is writable.
  virtual IoResult gather(ByteSpan from) { return write(from); }
  virtual Io flush() { return Io::kDone; }
  // Tells the peer that nothing follows; does not wait.
  virtual void shutdown() = 0;
  virtual int fd() const = 0;
  // Why the last call gave kFailed, in words for a person.
  virtual const std::string& failure() const = 0;
  virtual Failure failure_kind() const { return Failure::kCut; }
};

// Owns `fd`, which is a connected Unix stream socket; made non-blocking here.
class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(int fd);
  ~PlainTransport() override;
  IoResult read(MutableBytes to) override;
  IoResult write(ByteSpan from) override;
  void shutdown() override;
  int fd() const override { return fd_; }
  const std::string& failure() const override { return failure_; }

 private:
  int fd_;
  std::string failure_;
};

}  // namespace rexec::net
