// The program. Everything else of cli/ is a library; this file does what must come before all of
// it in a static binary, and nothing more.
#include <fcntl.h>
#include <nss.h>
#include <unistd.h>

#include <csignal>
#include <span>

#include "cli/dispatch.hpp"

int main(int argc, char** argv) {
  // A static glibc loads the modules that nsswitch.conf names, "systemd" on a stock Debian, and
  // crashes in them. Accounts of directory services come from getent, as a child.
  __nss_configure_lookup("passwd", "files");
  __nss_configure_lookup("group", "files");
  __nss_configure_lookup("shadow", "files");
  __nss_configure_lookup("hosts", "files dns");
  // Started with 0, 1 or 2 closed, the next socket would be somebody's stdout. What is written to
  // a stdout that is not there must fail as it would have: only words to stderr may get lost.
  for (int fd = 0; fd <= 2; ++fd) {
    const int flags = fd == STDOUT_FILENO ? O_RDONLY : O_RDWR;
    if (::fcntl(fd, F_GETFD) < 0) static_cast<void>(::open("/dev/null", flags));
  }
  // A reader that went away is an error of that write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  const std::span<char* const> words(argv, static_cast<std::size_t>(argc));
  const std::span<char* const> after_name = words.empty() ? words : words.subspan(1);
  return rexec::cli::dispatch({after_name.data(), after_name.size()});
}
