// Log lines as they arrive on stderr.
#include "src/base/log.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <functional>

#include "src/base/check.hpp"

using namespace rexec;

// What `action` writes to stderr, which is a pipe meanwhile.
static std::string stderr_of(const std::function<void()>& action) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const int saved = ::dup(2);
  ::dup2(ends[1], 2);
  action();
  ::dup2(saved, 2);
  ::close(saved);
  ::close(ends[1]);
  std::string text;
  char chunk[4096];
  for (ssize_t got; (got = ::read(ends[0], chunk, sizeof chunk)) > 0;) {
    text.append(chunk, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  return text;
}

TEST_CASE("log: a text line has time, level, program, message and fields") {
  const std::string line = stderr_of([] {
    log_open("agent", LogLevel::kInfo, LogFormat::kText);
    log_info("connected", {{"node", "n1"}, {"why", "two words"}, {"empty", ""}});
  });
  CHECK(line.size() > 25);
  CHECK(line.substr(24) == " info agent: connected node=n1 why=\"two words\" empty=\"\"\n");
}

TEST_CASE("log: what a peer sent stays on one line and cannot pose as another field") {
  const std::string line = stderr_of([] {
    log_open("agent", LogLevel::kInfo, LogFormat::kText);
    log_warn("bad\nname", {{"name", "x\n2026 info fake\x1b[31m ok=\"1\""}});
  });
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(line.find('\x1b') == std::string::npos);
  CHECK(line.find("ok=\\\"1\\\"") != std::string::npos);
}

TEST_CASE("log: a failure names the next step where there is one") {
  const std::string lines = stderr_of([] {
    log_open("agent", LogLevel::kInfo, LogFormat::kText);
    log_failure({Code::kConfig, "it is wrong", "mend it"});
    log_failure({Code::kConfig, "it is wrong", {}});
    log_failure("it cannot go on", {Code::kConfig, "it is wrong", {}});
  });
  CHECK(lines.find(" error agent: it is wrong next=\"mend it\"\n") != std::string::npos);
  CHECK(lines.find(" error agent: it is wrong\n") != std::string::npos);
  CHECK(lines.find(" error agent: it cannot go on why=\"it is wrong\"\n") != std::string::npos);
}

TEST_CASE("log: a JSON line escapes quotes and backslashes") {
  const std::string line = stderr_of([] {
    log_open("controller", LogLevel::kInfo, LogFormat::kJson);
    log_error("say \"hi\"", {{"path", "a\\b\x01"}});
  });
  CHECK(line.starts_with("{\"time\":\"2"));
  CHECK(line.ends_with(R"("level":"error","program":"controller","message":"say \"hi\"",)"
                       R"("path":"a\\b\\x01"})"
                       "\n"));
}

TEST_CASE("log: lower levels are silent, and REXEC_LOG overrides") {
  const std::string silent = stderr_of([] {
    log_open("agent", LogLevel::kInfo, LogFormat::kText);
    log_debug("not shown");
  });
  CHECK(silent.empty());
  const std::string shown = stderr_of([] {
    ::setenv("REXEC_LOG", "debug", 1);
    log_open("agent", LogLevel::kInfo, LogFormat::kText);
    ::unsetenv("REXEC_LOG");
    log_debug("shown");
  });
  CHECK(shown.find("debug agent: shown") != std::string::npos);
}
