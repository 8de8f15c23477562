#include "src/net/tls_output.hpp"

#include <openssl/bio.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "src/base/check.hpp"

namespace rexec::net {
namespace {

// A flight of 128 KiB with its records' overhead.
constexpr std::size_t kStage = 132 << 10;

bool is_full(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

// The thread's collecting place and whose bytes are in it.
struct TlsOutput::Stage {
  std::unique_ptr<std::uint8_t[]> memory;
  std::size_t used = 0;
  TlsOutput* owner = nullptr;
};

TlsOutput::Stage& TlsOutput::stage() {
  static thread_local Stage one;
  return one;
}

TlsOutput::~TlsOutput() {
  if (stage().owner == this) stage().owner = nullptr;
}

BIO* TlsOutput::make_bio() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rexec output");
    BIO_meth_set_write(made, &bio_write);
    BIO_meth_set_ctrl(made, &bio_control);
    return made;
  }();
  BIO* bio = BIO_new(method);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

int TlsOutput::bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  auto* output = static_cast<TlsOutput*>(BIO_get_data(bio));
  const int taken = output->accept(as_bytes({data, static_cast<std::size_t>(size)}));
  if (taken < 0 && is_full(errno)) BIO_set_retry_write(bio);
  return taken;
}

// FLUSH has nothing to do: outside of gather() nothing is kept, and inside flush() is owed.
long TlsOutput::bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

long TlsOutput::send_now(ByteSpan bytes) const {
  return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

// As write(2): what was taken, or -1 with errno. Never takes a byte before one that waits.
int TlsOutput::accept(ByteSpan bytes) {
  if (gathering_ && stuck_.empty()) return keep(bytes);
  const Io before = flush();
  if (before == Io::kWantWrite) errno = EAGAIN;
  return before == Io::kDone ? static_cast<int>(send_now(bytes)) : -1;
}

int TlsOutput::keep(ByteSpan bytes) {
  Stage& at = stage();
  if (at.owner != this) {
    // Somebody else gathered and has not flushed yet.
    if (at.owner != nullptr) at.owner->move_off_stage(0);
    if (!at.memory) at.memory = std::make_unique_for_overwrite<std::uint8_t[]>(kStage);
    at.owner = this;
    at.used = 0;
  }
  if (at.used + bytes.size() > kStage) {
    gathering_ = false;
    return accept(bytes);
  }
  std::memcpy(at.memory.get() + at.used, bytes.data(), bytes.size());
  at.used += bytes.size();
  return static_cast<int>(bytes.size());
}

void TlsOutput::move_off_stage(std::size_t sent) {
  Stage& at = stage();
  check(stuck_.empty(), "nothing is gathered while bytes are stuck");
  stuck_ = Buffer(ByteSpan(at.memory.get(), at.used).subspan(sent));
  at.owner = nullptr;
}

Io TlsOutput::flush() {
  gathering_ = false;
  Stage& at = stage();
  if (at.owner == this && stuck_.empty()) {
    // The usual way: straight from the stage, and all of it.
    const long n = send_now({at.memory.get(), at.used});
    if (n == static_cast<long>(at.used)) {
      at.owner = nullptr;
      return Io::kDone;
    }
    if (n < 0 && !is_full(errno)) return Io::kFailed;
    move_off_stage(static_cast<std::size_t>(std::max(n, 0L)));
  }
  while (!stuck_.empty()) {
    const long n = send_now(stuck_);
    if (n < 0) return is_full(errno) ? Io::kWantWrite : Io::kFailed;
    stuck_.consume(static_cast<std::size_t>(n));
  }
  stuck_ = Buffer();
  return Io::kDone;
}

}  // namespace rexec::net
