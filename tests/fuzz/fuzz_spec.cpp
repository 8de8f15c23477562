// Job specs from a peer: no crash, and what is accepted is valid and comes back the same. The
// journal's small files too.
#include <cstddef>
#include <cstdint>

#include "src/base/check.hpp"
#include "src/job/shim/child.hpp"
#include "src/job/shim/launch.hpp"
#include "src/job/spec/record.hpp"
#include "src/job/spec/spec.hpp"
#include "src/job/spool/attempt_dir.hpp"
#include "src/os/users.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rexec;
  using namespace rexec::job;
  const ByteSpan bytes(data, size);
  if (const auto spec = decode_spec(bytes)) {
    check(validate_spec(*spec).has_value(), "an accepted spec is valid");
    if (const auto again = encode_spec(*spec)) {
      const auto back = decode_spec(as_bytes(*again));
      check(back && *back == *spec, "a spec comes back as it was");
    }
  }
  const auto text = as_text(bytes);
  if (const auto record = record_from_json(text)) {
    const auto back = record_from_json(to_json(*record));
    check(back.has_value(), "a record comes back");
  }
  static_cast<void>(started_from_text(text));
  static_cast<void>(decode_meta(text));
  if (const auto key = attempt_from_name(text)) check(attempt_name(*key) == text, "one name");
  ShimPlan shim;
  ExecPlan exec;
  StartFailure failure;
  static_cast<void>(decode_shim_plan(bytes, shim));
  static_cast<void>(decode_exec_plan(bytes, exec));
  static_cast<void>(decode_failure(bytes, failure));
  if (auto user = os::parse_getent_passwd(text)) os::parse_getent_initgroups(text, *user);
  return 0;
}
