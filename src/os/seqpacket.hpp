// Unix SOCK_SEQPACKET messages with descriptors beside them. Works on blocking and non-blocking
// sockets alike, so net uses the same calls after its own wait for readiness. It does not know what
// the bytes mean (src/job/ipc/link.hpp does).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"
#include "src/os/fd.hpp"

namespace rexec::os {

inline constexpr std::size_t kMaxMessage = 128 * 1024;
inline constexpr std::size_t kMaxFds = 120;

enum class IoStatus {
  kDone,
  kAgain,   // would block (or descriptors in flight are at their limit): wait for readiness, then
            // repeat
  kClosed,  // the other end is gone
  kFailed,  // anything else; errno is in Received::error / the return of send
};

struct Received {
  IoStatus status = IoStatus::kFailed;
  int error = 0;
  std::size_t size = 0;
  std::vector<UniqueFd> fds;
};

// Non-blocking on both ends when asked.
Result<std::pair<UniqueFd, UniqueFd>> make_seqpacket_pair(Blocking mode);
// One whole message or nothing; never raises SIGPIPE.
IoStatus send_message(int socket, ByteSpan message, std::span<const int> fds = {});
// One whole message. Longer than `into`, or with more than kMaxFds descriptors: kFailed with
// EMSGSIZE, all descriptors closed. A pending ECONNRESET does not hide messages that are already
// queued.
Received receive_message(int socket, MutableBytes into);
// Listens at <directory>/<name> for any length of path (bound through /proc/self/fd); an old socket
// file is replaced. Non-blocking.
Result<UniqueFd> listen_seqpacket(int directory_fd, const char* name);
// Connects to such a socket; the result is non-blocking. kIo when nobody listens.
Result<UniqueFd> connect_seqpacket(int directory_fd, const char* name);
// SO_PEERCRED.
struct PeerCredentials {
  int pid = 0;
  unsigned uid = 0;
};
Result<PeerCredentials> peer_credentials(int socket);

}  // namespace rexec::os
