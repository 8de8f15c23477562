#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "cli/daemons/systemd.hpp"
#include "cli/enrol/labels.hpp"
#include "cli/run/job_lookup.hpp"
#include "cli/run/run_flags.hpp"
#include "cli/run/status.hpp"
#include "src/base/text.hpp"

using namespace rexec;
using namespace rexec::cli;

namespace {

using Strings = std::vector<std::string>;
using Environment = std::vector<std::pair<std::string, std::string>>;

Result<job::JobSpec> spec_of(std::vector<const char*> words, Manner manner = Manner::kForeground) {
  const auto args = parse_flags({{}, kRunFlags, Words::kCommand, "rexec run --help"}, words);
  REQUIRE(args);
  return read_spec(*args, manner);
}

}  // namespace

TEST_CASE("run: argv reaches the spec byte for byte") {
  // FAULTS C2
  const auto spec = spec_of({"n", "printf", "a b", "$HOME", "x;id", "\xff", ""});
  REQUIRE(spec);
  CHECK(spec->argv == Strings{"printf", "a b", "$HOME", "x;id", "\xff", ""});
  CHECK(spec->env.empty());
  CHECK_FALSE(spec->forward_stdin);
  CHECK_FALSE(spec->tty);
  CHECK(spec->on_disconnect == job::OnDisconnect::kStopAfter);
  CHECK(spec->on_disconnect_ms == 600'000);
}

TEST_CASE("run: a detached job is durable and goes on without its client") {
  const auto spec = spec_of({"n", "true"}, Manner::kDetached);
  REQUIRE(spec);
  CHECK(spec->durable);
  CHECK(spec->on_disconnect == job::OnDisconnect::kKeep);
}

TEST_CASE("run: a detached job has no client whose silence could stop it") {
  for (const char* how : {"stop", "stop-after=1h"}) {
    const auto spec = spec_of({"--on-disconnect", how, "n", "true"}, Manner::kDetached);
    CAPTURE(how);
    REQUIRE_FALSE(spec);
    CHECK(spec.error().code == Code::kUsage);
    CHECK(spec.error().message.starts_with("--on-disconnect " + std::string(how) + ": "));
    CHECK(spec.error().hint.find("leave it out") != std::string::npos);
  }
  const auto kept = spec_of({"--on-disconnect", "keep", "n", "true"}, Manner::kDetached);
  REQUIRE(kept);
  CHECK(kept->on_disconnect == job::OnDisconnect::kKeep);
  const auto wrong = spec_of({"--on-disconnect", "never", "n", "true"}, Manner::kDetached);
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("is not one of") != std::string::npos);
}

TEST_CASE("run: --sh and the shell are explicit, their words stay arguments") {
  CHECK(spec_of({"--sh", "echo $1", "n", "a b"})->argv ==
        Strings{"/bin/sh", "-c", "echo $1", "sh", "a b"});
  CHECK(spec_of({"n", "--sh", "id"})->argv == Strings{"/bin/sh", "-c", "id", "sh"});
  CHECK(spec_of({"n"}, Manner::kShell)->tty);
}

TEST_CASE("run: no command is an error that names the shell") {
  const auto spec = spec_of({"n"});
  REQUIRE_FALSE(spec);
  CHECK(spec.error().code == Code::kUsage);
  CHECK(spec.error().hint.find("rexec shell n") != std::string::npos);
}

TEST_CASE("run: -e K=V sets, -e K passes on, the last of a name wins") {
  ::setenv("REXEC_UNIT_SET", "here", 1);
  ::unsetenv("REXEC_UNIT_UNSET");
  const auto spec = spec_of({"-e", "A=1", "-e", "REXEC_UNIT_SET", "-e", "REXEC_UNIT_UNSET", "-e",
                             "A=2=3", "-e", "E=", "n", "true"});
  REQUIRE(spec);
  CHECK(spec->env == Environment{{"REXEC_UNIT_SET", "here"}, {"A", "2=3"}, {"E", ""}});
}

TEST_CASE("run: --env and --env-file take the same names") {
  for (const std::string line : {"A B=1", "=1", "export A=1", "A\tB", " A=1"}) {
    CAPTURE(line);
    const auto spec = spec_of({"-e", line.c_str(), "n", "true"});
    REQUIRE_FALSE(spec);
    CHECK(spec.error().message == "--env: \"" + printable(line) + "\" is not K=V");
    CHECK_FALSE(parse_env_file(line, "f"));
  }
  for (const std::string line : {"1A=b", "A-B.c=1", "\xc3\xa4=1", "A= b c"}) {
    CAPTURE(line);
    const auto spec = spec_of({"-e", line.c_str(), "n", "true"});
    REQUIRE(spec);
    CHECK(*parse_env_file(line, "f") == spec->env);
  }
}

TEST_CASE("run: a flag that has taken the target says so") {
  CHECK(spec_of({"--timeout", "n1", "--", "true"}).error().message ==
        "--timeout: \"n1\" is not a duration");
  CHECK(spec_of({"--pids", "n1", "--", "true"}).error().message.starts_with("--pids: \"n1\""));
  CHECK(spec_of({"-u", "n1", "--", "true"})
            .error()
            .hint.starts_with("--user has \"n1\" as its value\n"));
}

TEST_CASE("run: an env file has K=V lines, comments and names to pass on") {
  ::setenv("REXEC_UNIT_SET", "here", 1);
  const auto parsed = parse_env_file("# c\nA=1\r\n\nREXEC_UNIT_SET\nB='x y'\n", "f");
  REQUIRE(parsed);
  CHECK(*parsed == Environment{{"A", "1"}, {"REXEC_UNIT_SET", "here"}, {"B", "'x y'"}});
  const auto wrong = parse_env_file("A=1\n=2\n", "f");
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message == "--env-file: f:2: \"=2\" is not K=V");
}

TEST_CASE("run: user, group, limits and what to do with what is left") {
  const auto spec =
      spec_of({"-u", "ann:staff", "--timeout", "1.5", "--grace", "250ms", "--children", "leave",
               "--on-disconnect", "stop-after=1h", "-w", "/srv", "n", "x"});
  REQUIRE(spec);
  CHECK(spec->user == "ann");
  CHECK(spec->group == "staff");
  CHECK(spec->timeout_ms == 1'500);
  CHECK(spec->grace_ms == 250);
  CHECK(spec->children == job::Children::kLeave);
  CHECK(spec->on_disconnect_ms == 3'600'000);
  CHECK(spec->workdir == "/srv");
}

TEST_CASE("run: values that make no sense are refused with the flag's name") {
  // FAULTS C11
  const std::vector<std::vector<const char*>> lines = {
      {"--timeout", "1x", "n", "x"},
      {"--timeout", "-1h", "n", "x"},
      {"--grace", "99999999999h", "n", "x"},
      {"--children", "keep", "n", "x"},
      {"--on-disconnect", "never", "n", "x"},
      {"--on-disconnect", "stop-after=", "n", "x"},
      {"-u", ":staff", "n", "x"},
      {"--here", "-w", "/", "n", "x"},
      {"--sh", "a", "--script", "b", "n"},
  };
  for (const auto& line : lines) {
    const auto spec = spec_of(line);
    CAPTURE(line[0]);
    REQUIRE_FALSE(spec);
    CHECK(spec.error().code == Code::kUsage);
  }
}

TEST_CASE("run: limits are processors, sizes and counts") {
  const auto spec = spec_of({"--cpu", "0.5", "--mem", "1.5G", "--pids", "64", "n", "x"});
  REQUIRE(spec);
  CHECK(spec->cpu_milli == 500);
  CHECK(spec->memory_bytes == 1'610'612'736);
  CHECK(spec->pids == 64);
  CHECK(spec_of({"--pids", "0", "n", "x"}).error().code == Code::kUsage);
}

TEST_CASE("run: a terminal is for one node") {
  const auto parsed =
      parse_flags({{}, kRunFlags, Words::kCommand, ""}, std::vector<const char*>{"-t", "a,b", "x"});
  REQUIRE(parsed);
  FollowOptions options;
  const Verb verb{};
  CHECK(read_run({verb, "run", *parsed, {}}, Manner::kForeground, options).error().code ==
        Code::kUsage);
}

TEST_CASE("attach: --from is a byte of stdout or both positions") {
  client::JobInfo job;
  CHECK_FALSE(read_from("", job));
  CHECK(job.out == 0);
  CHECK(read_from("12", job));
  CHECK(job.out == 12);
  CHECK(read_from("err=7,out=9", job));
  CHECK(job.out == 9);
  CHECK(job.err == 7);
  for (const char* wrong : {"x", "out=", "out=1,", "in=3", "-1", "out=1;err=2"}) {
    CHECK(read_from(wrong, job).error().code == Code::kUsage);
  }
}

TEST_CASE("labels: K=V with a good key, the last of a key wins") {
  const auto labels = parse_labels({"env=prod", "a=", "env=test=x"});
  REQUIRE(labels);
  CHECK(labels->at("env") == "test=x");
  CHECK(labels->at("a").empty());
  CHECK(parse_labels({"env"}).error().code == Code::kUsage);
  CHECK(parse_labels({"-x=1"}).error().code == Code::kUsage);
}

TEST_CASE("status: a run that never started says which of the reasons it was") {
  const wire::Map record =
      status_of_failure({"nod42", {}, 0, 0}, {Code::kUnknownNode, "m\x1b", {}});
  CHECK(record["node"] == "nod42");
  CHECK(record["job"].is_null());
  CHECK(record["outcome"] == "not_started");
  CHECK(record["code"] == 125);
  CHECK(record["reason"] == "unknown_node");
  CHECK(record["message"] == "m\\x1b");
}

TEST_CASE("status: a place that cannot be written is an error before anything starts") {
  CHECK(check_status_target({"/nonexistent/dir/s.json", -1}).error().code == Code::kUsage);
  CHECK(check_status_target({"", 987}).error().code == Code::kUsage);
  CHECK(check_status_target({"/dev/null", 1}));
  CHECK(check_status_target({}));
}

TEST_CASE("systemd: the unit quotes its paths and leaves jobs alone") {
  const std::string unit = agent_unit("/opt/r x/rexec", "/var/lib/100%$A\"b");
  CHECK(unit.find("ExecStart=\"/opt/r x/rexec\" agent run --data \"/var/lib/100%%$$A\\\"b\"\n") !=
        std::string::npos);
  CHECK(unit.find("KillMode=process") != std::string::npos);
}

TEST_CASE("systemd: the controller's unit quotes its paths and comes back after a failure") {
  const std::string unit = controller_unit("/opt/r x/rexec", "/var/lib/100%$A\"b");
  CHECK(unit.find("ExecStart=\"/opt/r x/rexec\" controller run --data "
                  "\"/var/lib/100%%$$A\\\"b\"\n") != std::string::npos);
  CHECK(unit.find("Restart=always") != std::string::npos);
  CHECK(unit.find("WantedBy=multi-user.target") != std::string::npos);
}
