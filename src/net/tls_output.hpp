// Where a TLS connection's ciphertext goes: the end of OpenSSL's write chain. OpenSSL sends each
// record of 16 KiB by itself; while a flight is gathered its records are collected instead and
// leave in one call. The memory for that is one piece a thread; what a full socket leaves behind
// moves to memory of the connection, which it gives back as soon as that is out. Only tls.cpp uses
// it.
#pragma once

#include <openssl/types.h>

#include "src/net/transport.hpp"

namespace rexec::net {

class TlsOutput {
 public:
  // Borrows `fd`, a non-blocking socket.
  explicit TlsOutput(int fd) : fd_(fd) {}
  ~TlsOutput();
  TlsOutput(const TlsOutput&) = delete;
  TlsOutput& operator=(const TlsOutput&) = delete;

  // A new BIO that writes here; this object outlives it.
  BIO* make_bio();
  // Until flush() what is written may be kept, as far as there is room.
  void gather() { gathering_ = true; }
  // Sends what was kept. kWantWrite: call again when the socket is writable; kFailed: see errno.
  Io flush();
  // Bytes that are kept because the socket was full.
  std::size_t stuck() const { return stuck_.size(); }

 private:
  struct Stage;
  static Stage& stage();
  static int bio_write(BIO* bio, const char* data, int size);
  static long bio_control(BIO* bio, int command, long number, void* pointer);

  int accept(ByteSpan bytes);
  int keep(ByteSpan bytes);
  // What is on the stage but for its first `sent` bytes becomes stuck.
  void move_off_stage(std::size_t sent);
  long send_now(ByteSpan bytes) const;

  int fd_;
  bool gathering_ = false;
  Buffer stuck_;
};

}  // namespace rexec::net
