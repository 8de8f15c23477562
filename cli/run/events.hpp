// `-o jsonl`: every event of a run as one JSON object on one line, `end` last per node, `summary`
// last of all (CLI.md, "Output"). Pure. Output that is UTF-8 is "data", other bytes are "base64".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "src/base/bytes.hpp"
#include "src/base/clock.hpp"
#include "src/wire/maps.hpp"

namespace rexec::cli {

// The events of one job; `seq` counts them from 1.
class JobEvents {
 public:
  JobEvents(std::string node, std::string job) : node_(std::move(node)), job_(std::move(job)) {}

  std::string start();
  // "out" or "err". May hold back up to 3 bytes, the beginning of a character. `written` is the
  // "time" of the event, that of its first byte.
  std::string bytes(const std::string& type, ByteSpan bytes,
                    std::optional<WallTime> written = std::nullopt);
  std::string state(const std::string& state, wire::Map more = wire::Map::object());
  // What was held back, then the end record.
  std::string end(const wire::Map& record);

 private:
  struct Side {
    std::uint64_t offset = 0;
    std::string held;
    std::optional<WallTime> held_written;
  };
  struct Piece {
    std::string bytes;
    std::optional<WallTime> written;
  };
  std::string line(const std::string& type, wire::Map more);
  std::string data_line(const std::string& type, Side& side, Piece piece);
  Side& side(const std::string& type) { return type == "out" ? out_ : err_; }

  std::string node_;
  std::string job_;
  std::uint64_t seq_ = 0;
  Side out_;
  Side err_;
};

std::string summary_line(wire::Map more);
// RFC 4648 with padding.
std::string to_base64(std::string_view bytes);

}  // namespace rexec::cli
