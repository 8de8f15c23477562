#include "cli/enrol/host_name.hpp"

#include <doctest/doctest.h>

#include "src/base/ids.hpp"

using namespace rexec;
using namespace rexec::cli;

TEST_CASE("host name: the first label in lower case, made a valid name") {
  CHECK(name_from_host("vm") == "vm");
  CHECK(name_from_host("Web-01.example.org") == "web-01");
  CHECK(name_from_host("my laptop (old)") == "my-laptop--old");
  CHECK(name_from_host("_x_") == "x");
  CHECK(name_from_host("b\xc3\xbcro") == "b--ro");
  CHECK(name_from_host(std::string(200, 'a')).size() == 63);
  CHECK(name_from_host(std::string(62, 'a') + "-b") == std::string(62, 'a'));
}

TEST_CASE("host name: what leaves nothing is no name, and what is left is one") {
  for (const char* host : {"", ".", "...", "--", ".local", "()"})
    CHECK(name_from_host(host).empty());
  for (const char* host : {"9", "-a-", "A.b", "(none)", "x\ny", "h\x01"})
    CHECK(check_name("name", name_from_host(host)));
}
