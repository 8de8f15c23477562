// Bytes of the messages between net, spawner and shim. One list of fields a struct serves writing
// and reading. See link.hpp and PROTOCOL.md.
#include "src/job/ipc/link.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "src/job/ipc/codec.hpp"

namespace rexec::job::link {
namespace {

// The message's version beside its bytes, for fields that not every version has.
struct VersionedWriter : Writer {
  std::uint8_t version = 0;
};
struct VersionedReader : Reader {
  VersionedReader(ByteSpan bytes, std::uint8_t of) : Reader(bytes), version(of) {}
  std::uint8_t version;
};
template <class F>
bool since(const F& f, std::uint8_t version) {
  return f.version >= version;
}

// In which version a message's fields last changed.
template <class M>
constexpr std::uint8_t version_of = 1;
template <>
constexpr std::uint8_t version_of<ShimChannel> = 2;
template <>
constexpr std::uint8_t version_of<Finished> = 2;
template <>
constexpr std::uint8_t version_of<Reported> = 2;
template <>
constexpr std::uint8_t version_of<Halt> = 5;
template <>
constexpr std::uint8_t version_of<TellAll> = 2;
template <>
constexpr std::uint8_t version_of<Readers> = 4;
template <>
constexpr std::uint8_t version_of<WasRead> = 4;

constexpr std::size_t kMaxIdText = 64;
constexpr std::size_t kMaxTicket = 1024;
constexpr std::size_t kMaxOwner = 256;
constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxRecord = 65536;

template <class F, class K>
void key(F& f, K& k) {
  f.text(k.job.text, kMaxIdText);
  f.number(k.attempt);
}
template <class F, class M>
void meta(F& f, M& m) {
  f.text(m.ticket, kMaxTicket);
  f.text(m.owner, kMaxOwner);
  f.number(m.received_ms);
}

// is<T>: M is T or const T, so that one function serves both directions.
template <class M, class T>
concept is = std::is_same_v<std::remove_const_t<M>, T>;

template <class F, is<Start> M>
void fields(F& f, M& m) {
  key(f, m.key);
  f.text(m.ticket, kMaxTicket);
  f.text(m.owner, kMaxOwner);
  f.flag(m.attach);
}
template <class F, is<Open> M>
void fields(F& f, M& m) {
  key(f, m.key);
}
template <class F, is<Reported> M>
void fields(F& f, M& m) {
  key(f, m.key);
  if (since(f, 2)) f.flag(m.is_final);
}
template <class F, is<Remove> M>
void fields(F& f, M& m) {
  key(f, m.key);
}
template <class F, is<Resync> M>
void fields(F&, M&) {}
template <class F, is<Halt> M>
void fields(F& f, M& m) {
  key(f, m.key);
  if (since(f, 5)) f.flag(m.is_client_end);
}
template <class F, is<TellAll> M>
void fields(F&, M&) {}
template <class F, is<WasRead> M>
void fields(F& f, M& m) {
  key(f, m.key);
}

template <class F, is<ShimChannel> M>
void fields(F& f, M& m) {
  key(f, m.key);
  meta(f, m.meta);
  f.number(m.pid);
  f.number(m.started_ms);
  if (since(f, 2)) f.number(m.version);
  if (since(f, 2)) f.flag(m.meta.restarts);
}
template <class F, is<Finished> M>
void fields(F& f, M& m) {
  key(f, m.key);
  meta(f, m.meta);
  f.text(m.record, kMaxRecord);
  f.flag(m.reported);
  if (since(f, 2)) f.number(m.next_ms);
}
template <class F, is<Refused> M>
void fields(F& f, M& m) {
  key(f, m.key);
  f.text(m.code, kMaxIdText);
  f.text(m.message, kMaxText);
}
template <class F, is<SyncDone> M>
void fields(F&, M&) {}

template <class F, is<State> M>
void fields(F& f, M& m) {
  f.number(m.in_offset);
  f.number(m.in_limit);
  f.number(m.out_total);
  f.number(m.err_total);
  f.number(m.seq);
  f.flag(m.started);
  f.flag(m.tty);
  f.number(m.pid);
  f.number(m.started_ms);
}
template <class F, is<Segment> M>
void fields(F& f, M& m) {
  f.number(m.index);
  f.number(m.out_base);
  f.number(m.err_base);
  f.number(m.seq_base);
}
template <class F, is<Output> M>
void fields(F& f, M& m) {
  f.number(m.out_total);
  f.number(m.err_total);
  f.number(m.spool_size);
}
template <class F, is<StdinAck> M>
void fields(F& f, M& m) {
  f.number(m.offset);
  f.number(m.limit);
}
template <class F, is<Started> M>
void fields(F& f, M& m) {
  f.number(m.pid);
  f.number(m.started_ms);
}
template <class F, is<Exited> M>
void fields(F& f, M& m) {
  f.number(m.code);
  f.number(m.signal);
}
template <class F, is<End> M>
void fields(F& f, M& m) {
  f.text(m.record, kMaxRecord);
}
template <class F, is<Held> M>
void fields(F& f, M& m) {
  f.number(m.error);
  f.number(m.readers);
}

template <class F, is<Stdin> M>
void fields(F& f, M& m) {
  f.number(m.offset);
  f.bytes(m.bytes, kMaxStdinBytes);
}
template <class F, is<StdinEof> M>
void fields(F& f, M& m) {
  f.number(m.offset);
}
template <class F, is<Signal> M>
void fields(F& f, M& m) {
  f.number(m.number);
}
template <class F, is<Stop> M>
void fields(F& f, M& m) {
  f.number(m.grace_ms);
}
template <class F, is<Resize> M>
void fields(F& f, M& m) {
  f.number(m.rows);
  f.number(m.cols);
}
void fields(Writer& f, const CloseOutput& m) { f.number(static_cast<std::uint8_t>(m.channel)); }
void fields(Reader& f, CloseOutput& m) {
  std::uint8_t channel = 0;
  f.number(channel);
  if (channel != 1 && channel != 2) f.refuse();
  m.channel = channel == 2 ? Channel::kErr : Channel::kOut;
}
void fields(VersionedWriter& f, const Readers& m) {
  f.number(m.count);
  if (!since(f, 4)) return;
  f.number(static_cast<std::uint8_t>(m.gone));
}
void fields(VersionedReader& f, Readers& m) {
  f.number(m.count);
  if (!since(f, 4)) return;
  std::uint8_t gone = 0;
  f.number(gone);
  if (gone > static_cast<std::uint8_t>(Gone::kEnded)) f.refuse();
  m.gone = static_cast<Gone>(gone);
}
template <class F, is<Read> M>
void fields(F& f, M& m) {
  f.number(m.out);
  f.number(m.err);
  f.number(m.ahead);
}
template <class F, is<Leave> M>
void fields(F&, M&) {}
template <class F, is<Newer> M>
void fields(F&, M&) {}

// The kind byte is the family's first number plus the place in the variant, whose last is Newer.
template <class Variant>
std::string write(const Variant& message, std::uint8_t family, std::uint8_t reader) {
  check(!std::holds_alternative<Newer>(message), "Newer is only received");
  VersionedWriter writer;
  std::visit(
      [&]<class M>(const M& m) {
        writer.version = std::min(version_of<M>, reader);
        writer.number(static_cast<std::uint8_t>(family + message.index()));
        writer.number(writer.version);
        fields(writer, m);
      },
      message);
  return writer.take();
}

template <class Variant, std::size_t... I>
bool read_into(Variant& message, std::size_t index, VersionedReader& reader,
               std::index_sequence<I...>) {
  return ((index == I && (fields(reader, message.template emplace<I>()), true)) || ...);
}

template <class Variant>
Result<Variant> read(ByteSpan bytes, std::uint8_t family) {
  if (bytes.size() < 2 || bytes[1] == 0)
    return fail(Code::kProtocol, "link message without kind and version");
  const std::uint8_t kind = bytes[0], version = bytes[1];
  Variant message;
  VersionedReader reader(bytes.subspan(2), version);
  const auto known = std::make_index_sequence<std::variant_size_v<Variant> - 1>();
  if (kind < family || !read_into(message, kind - family, reader, known)) {
    if (kind >= family && version > kVersion) return Newer{};
    return fail(Code::kProtocol, "link message of unknown kind " + std::to_string(kind));
  }
  const bool whole = version > kVersion ? reader.ok() : reader.finished();
  if (!whole)
    return fail(Code::kProtocol, "malformed link message of kind " + std::to_string(kind));
  return message;
}

constexpr std::uint8_t kToSpawner = 0x10, kFromSpawner = 0x20, kFromShim = 0x40, kToShim = 0x60;

}  // namespace

std::string encode(const ToSpawner& message, std::uint8_t reader) {
  return write(message, kToSpawner, reader);
}
std::string encode(const FromSpawner& message, std::uint8_t reader) {
  return write(message, kFromSpawner, reader);
}
std::string encode(const FromShim& message, std::uint8_t reader) {
  return write(message, kFromShim, reader);
}
std::string encode(const ToShim& message, std::uint8_t reader) {
  return write(message, kToShim, reader);
}
Result<ToSpawner> decode_to_spawner(ByteSpan bytes) { return read<ToSpawner>(bytes, kToSpawner); }
Result<FromSpawner> decode_from_spawner(ByteSpan bytes) {
  return read<FromSpawner>(bytes, kFromSpawner);
}
Result<FromShim> decode_from_shim(ByteSpan bytes) { return read<FromShim>(bytes, kFromShim); }
Result<ToShim> decode_to_shim(ByteSpan bytes) { return read<ToShim>(bytes, kToShim); }

}  // namespace rexec::job::link
