// Any bytes as a configuration file: an answer, never a crash; and what is read can be checked.
#include "src/base/check.hpp"
#include "src/base/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const rexec::Result<rexec::ConfigMap> map = rexec::parse_config(text, "fuzz.toml");
  if (!map) {
    rexec::check(map.error().code == rexec::Code::kConfig, "a parse error is a config error");
    return 0;
  }
  (void)rexec::check_keys(*map, "fuzz.toml", {"name", "contexts.*.ca"});
  const std::string quoted = "a = " + rexec::toml_quote("key");
  rexec::check(rexec::parse_config(quoted, "q").has_value(), "quoted text is TOML");
  return 0;
}
