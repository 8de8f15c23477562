// Giving up root, as root: each in a child, whose /proc/self/status says what is left.
#include "src/os/privilege.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

namespace rexec::os {
namespace {

const User& somebody() {
  static const User user{"somebody", 5011, 5012, "/", "/bin/sh", {5012, 5013}};
  return user;
}

bool is_root() {
  if (::geteuid() == 0) return true;
  std::puts("skipped: privilege: not here: not root");
  return false;
}

bool in_child(const std::function<bool()>& promise) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(promise() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool status_has(const std::string& line) {
  std::stringstream text;
  text << std::ifstream("/proc/self/status").rdbuf();
  return text.str().find("\n" + line + "\n") != std::string::npos;
}

const std::string kNone = "\t0000000000000000";

struct Directory {
  std::string path;
  Directory() {
    char name[] = "/tmp/rexec-privilege-XXXXXX";
    path = ::mkdtemp(name);
    ::chmod(path.c_str(), 0711);
  }
  ~Directory() { std::filesystem::remove_all(path); }
  uid_t owner(const std::string& name) const {
    struct stat info{};
    return ::lstat((path + name).c_str(), &info) == 0 ? info.st_uid : ~uid_t{0};
  }
};

TEST_CASE("privilege: who was root is the account with its groups, and no capability is left") {
  if (!is_root()) return;
  CHECK(in_child([] {
    return become(somebody(), Keep::kNothing) && ::getuid() == 5011 && ::getegid() == 5012 &&
           ::setuid(0) != 0 && status_has("CapEff:" + kNone) && status_has("CapPrm:" + kNone) &&
           status_has("CapBnd:" + kNone) && status_has("CapAmb:" + kNone);
  }));
  CHECK(in_child([] {
    drop_capabilities();
    return ::getuid() == 0 && status_has("CapEff:" + kNone) && status_has("CapBnd:" + kNone) &&
           ::chroot("/") != 0;
  }));
}

TEST_CASE("privilege: a low port may be bound until the capabilities are dropped") {
  if (!is_root()) return;
  CHECK(in_child([] {
    return become(somebody(), Keep::kLowPorts) && ::getuid() == 5011 &&
           status_has("CapEff:\t0000000000000400") && (drop_capabilities(), true) &&
           status_has("CapPrm:" + kNone);
  }));
}

TEST_CASE("privilege: a directory is given with what is in it, and nothing that is elsewhere") {
  if (!is_root()) return;
  const Directory directory;
  const Directory elsewhere;
  std::filesystem::create_directories(directory.path + "/a/b");
  for (const std::string& file : {directory.path + "/a/b/key", elsewhere.path + "/theirs"})
    std::ofstream(file) << "x";
  std::filesystem::create_symlink(elsewhere.path + "/theirs", directory.path + "/link");
  std::filesystem::create_directory_symlink(elsewhere.path, directory.path + "/links");
  std::filesystem::create_hard_link(elsewhere.path + "/theirs", directory.path + "/second");
  REQUIRE(give_directory(directory.path, somebody()));
  for (const char* name : {"", "/a", "/a/b", "/a/b/key"}) CHECK(directory.owner(name) == 5011);
  CHECK(elsewhere.owner("/theirs") == 0);
  CHECK(elsewhere.owner("") == 0);
}

TEST_CASE("privilege: whether an account reaches a path is what its rights say") {
  if (!is_root()) return;
  const Directory directory;
  std::filesystem::create_directories(directory.path + "/above/data");
  CHECK(can_reach(somebody(), directory.path + "/above/data"));
  ::chmod((directory.path + "/above").c_str(), 0700);
  CHECK(!can_reach(somebody(), directory.path + "/above/data"));
  CHECK(!can_reach(somebody(), directory.path + "/none"));
  CHECK(::geteuid() == 0);
}

TEST_CASE("privilege: hidden memory is in no core file, and a program executed later is as ever") {
  CHECK(in_child([] {
    hide_memory();
    return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
  }));
}

}  // namespace
}  // namespace rexec::os
