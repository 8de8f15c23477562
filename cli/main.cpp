// The program. Everything else of cli/ is a library; this file does what must come before all of
// it in a static binary, and nothing more.
#include <fcntl.h>
#include <nss.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <span>
#include <string_view>

#include "cli/dispatch.hpp"
#include "src/os/privilege.hpp"

namespace {

// A token on the command line stands in /proc for everybody to read, so it is copied and written
// over before anything else happens. Whichever verb it is for: `run NODE -- rexec join rx1_…` too.
void hide_tokens(std::span<char*> words) {
  constexpr std::string_view kToken = "rx1_";
  for (char*& word : words) {
    if (!std::string_view(word).starts_with(kToken)) continue;
    const std::size_t size = std::strlen(word);
    char* copy = new char[size + 1];  // for as long as the process lives
    std::memcpy(copy, word, size + 1);
    std::memset(word + kToken.size(), '*', size - kToken.size());
    word = copy;
  }
}

}  // namespace

int main(int argc, char** argv) {
  // Every process of this program loads a private key sooner or later, or holds a token. What it
  // executes is not concerned: exec makes a process as open as ever.
  rexec::os::hide_memory();
  hide_tokens({argv, static_cast<std::size_t>(argc)});
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
