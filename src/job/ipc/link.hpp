// The messages between net, spawner and shim (src/job/PROTOCOL.md) as structs, and their bytes.
// Pure. Whoever receives them does not trust the sender: decode_* bound every length, and a bad
// message is kProtocol. A shim outlives the binary it came from, so both ends may be of another
// version than ours: what that means is at kVersion.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "src/base/bytes.hpp"
#include "src/base/error.hpp"
#include "src/base/ids.hpp"

namespace rexec::job {

enum class Channel : std::uint8_t { kIn = 0, kOut = 1, kErr = 2 };

namespace link {

// Of all these messages together. Each carries the version in which its own fields last changed.
// Whoever adds a field adds it at the end, under `since` in link.cpp, and raises kVersion; whoever
// adds a kind puts it before Newer. So an older message is one whose last fields keep their
// defaults, a newer one has bytes at its end that are not looked at, and a kind from a later
// version is Newer: to be ignored. Version 1 read none of that: it is sent only what it knows.
inline constexpr std::uint8_t kVersion = 5;

inline constexpr std::size_t kMaxStdinBytes = 65536;
inline constexpr std::uint64_t kNoReader = ~std::uint64_t{0};

// A kind that only a later version has; never sent.
struct Newer {};

// ---- net → spawner ----
struct Start {  // + one descriptor: a memfd with the encoded JobSpec
  AttemptKey key;
  std::string ticket;        // opaque, ≤ 1 KiB; kept in `meta`
  std::string owner;         // ≤ 256 bytes
  bool attach = false;       // a reader will attach: output is held for it from byte 0
  std::uint32_t streak = 0;  // not sent: of a restart, for its `meta` (restart.hpp)
};
struct Open {  // answered by Channel, Finished or Refused (unknown_job)
  AttemptKey key;
};
struct Reported {
  AttemptKey key;
  bool is_final = true;  // false: that another attempt follows was acknowledged, no more
};
struct Remove {
  AttemptKey key;
};
struct Resync {};
struct Halt {  // no further attempt of this job; answered by Finished if one was to come
  AttemptKey key;
  bool is_client_end = false;  // its client has ended: only a pause ends, and not of a job to keep
};
struct WasRead {  // the run in the foreground that began it has received all of its output
  AttemptKey key;
};
struct TellAll {};  // the controller has forgotten what it acknowledged: Resync with everything
using ToSpawner =
    std::variant<Start, Open, Reported, Remove, Resync, Halt, TellAll, WasRead, Newer>;

// ---- spawner → net ----
struct Meta {
  std::string ticket;
  std::string owner;
  std::uint64_t received_ms = 0;
  bool restarts = false;     // ShimChannel: it may be followed by another attempt
  std::uint32_t streak = 0;  // not sent
};
struct ShimChannel {  // + one descriptor: the connected shim socket, non-blocking. May come again
                      // for the same job: use the newest
  AttemptKey key;
  Meta meta;
  std::uint32_t pid = 0;  // 0: not started yet, the shim's Started says so
  std::uint64_t started_ms = 0;
  std::uint8_t version = 1;  // of the messages this shim understands
};
struct Finished {  // + the spool segments' descriptors, read-only, oldest first, at most 100
  AttemptKey key;
  Meta meta;
  std::string record;     // EndRecord as JSON
  bool reported = false;  // the controller has acknowledged it already
  // Another attempt follows, its number is one more: wall clock, kNextIsThere when it has begun, 0:
  // none.
  std::uint64_t next_ms = 0;
};
inline constexpr std::uint64_t kNextIsThere = 1;
struct Refused {
  AttemptKey key;
  std::string code;  // code_name()
  std::string message;
};
struct SyncDone {};
using FromSpawner = std::variant<ShimChannel, Finished, Refused, SyncDone, Newer>;

// ---- shim → net ----
struct State {
  std::uint64_t in_offset = 0;  // stdin bytes the shim has accepted: go on from here
  std::uint64_t in_limit = 0;   // send none at or beyond this offset until a StdinAck raises it
  std::uint64_t out_total = 0;
  std::uint64_t err_total = 0;
  std::uint64_t seq = 0;  // frames written so far
  bool started = false;   // exec was attempted
  bool tty = false;
  std::uint32_t pid = 0;
  std::uint64_t started_ms = 0;
};
struct Segment {  // + one read-only descriptor
  std::uint32_t index = 0;
  std::uint64_t out_base = 0;
  std::uint64_t err_base = 0;
  std::uint64_t seq_base = 0;
};
struct Output {  // the newest segment is valid up to spool_size; older ones wholly
  std::uint64_t out_total = 0;
  std::uint64_t err_total = 0;
  std::uint64_t spool_size = 0;
};
struct StdinAck {
  std::uint64_t offset = 0;  // accepted
  std::uint64_t limit = 0;   // absolute: stdin may be sent up to here
};
struct Started {
  std::uint32_t pid = 0;
  std::uint64_t started_ms = 0;
};
struct Exited {
  std::uint32_t code = 0;
  std::uint32_t signal = 0;
};
struct End {
  std::string record;  // EndRecord as JSON; the shim leaves soon after
};
struct Held {                 // why the job is being held back now; both 0: it goes on
  std::uint32_t error = 0;    // errno of the spool (ENOSPC, EDQUOT …)
  std::uint32_t readers = 0;  // 1: a reader is more than the quota behind; kUnread
};
// Nobody reads at all, and the job is to be held for whoever will (--overflow block).
inline constexpr std::uint32_t kUnread = 2;
using FromShim = std::variant<State, Segment, Output, StdinAck, Started, Exited, End, Held, Newer>;

// ---- net → shim ----
struct Stdin {
  std::uint64_t offset = 0;
  ByteSpan bytes;  // ≤ kMaxStdinBytes; after decode a view into the message
};
struct StdinEof {
  std::uint64_t offset = 0;
};
struct Signal {
  std::uint32_t number = 0;
};
// The grace that the job was given. Shims before kKnowsOwnGrace do not know it: see LocalJob::send.
inline constexpr std::uint64_t kOwnGrace = ~std::uint64_t{0};
inline constexpr std::uint8_t kKnowsOwnGrace = 3;
struct Stop {
  std::uint64_t grace_ms = kOwnGrace;
};
struct Resize {
  std::uint16_t rows = 0;
  std::uint16_t cols = 0;
};
struct CloseOutput {
  Channel channel = Channel::kOut;
};
// Why there is no reader. Of net before version 4 each is kSilent.
enum class Gone : std::uint8_t {
  kSilent,   // the controller hears nothing from the client, or knows that its terminal was closed
  kUnknown,  // the controller is away, or nobody has come yet: nobody knows of the client
  kEnded,    // the client said that its process ends
};
struct Readers {
  std::uint32_t count = 0;
  Gone gone = Gone::kSilent;  // when count is 0
};
struct Read {  // the slowest reader's offsets; kNoReader: nobody reads that stream
  std::uint64_t out = 0;
  std::uint64_t err = 0;
  std::uint64_t ahead = 0;  // most bytes to write beyond them, both streams together; 0: the quota
};
struct Leave {};
using ToShim =
    std::variant<Stdin, StdinEof, Signal, Stop, Resize, CloseOutput, Readers, Read, Leave, Newer>;

// Bytes of one message (descriptors go beside it). A field beyond its bound trips check(): the
// caller's bug. `reader` is what the other side understands; net and spawner are always one binary
// (/proc/self/exe stays the file that was started, whatever lies at its path by now).
std::string encode(const ToSpawner& message, std::uint8_t reader = kVersion);
std::string encode(const FromSpawner& message, std::uint8_t reader = kVersion);
std::string encode(const FromShim& message, std::uint8_t reader = kVersion);
std::string encode(const ToShim& message, std::uint8_t reader = kVersion);

Result<ToSpawner> decode_to_spawner(ByteSpan bytes);
Result<FromSpawner> decode_from_spawner(ByteSpan bytes);
Result<FromShim> decode_from_shim(ByteSpan bytes);
Result<ToShim> decode_to_shim(ByteSpan bytes);

}  // namespace link
}  // namespace rexec::job
