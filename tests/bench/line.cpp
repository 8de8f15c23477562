// Two ends of a line: `bench_line tick N MICROS` writes a line with its own clock every so often,
// `bench_line tock` reads them and prints for each the milliseconds it took. Run by bench.py with
// ssh or rexec in between, both on this machine so that the clock is one.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

namespace {

long long now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

int tick(int count, long micros) {
  for (int i = 0; i < count; ++i) {
    const timespec pause{micros / 1'000'000, micros % 1'000'000 * 1000};
    nanosleep(&pause, nullptr);
    const std::string line = std::to_string(now_ns()) + "\n";
    if (write(1, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return 1;
  }
  return 0;
}

int tock() {
  std::string held;
  char buffer[65536];
  for (ssize_t n; (n = read(0, buffer, sizeof buffer)) > 0;) {
    const long long arrived = now_ns();
    held.append(buffer, static_cast<std::size_t>(n));
    for (std::size_t end; (end = held.find('\n')) != std::string::npos; held.erase(0, end + 1))
      std::printf("%.4f\n", static_cast<double>(arrived - std::atoll(held.c_str())) / 1e6);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "tick") == 0)
    return tick(std::atoi(argv[2]), std::atol(argv[3]));
  if (argc == 2 && std::strcmp(argv[1], "tock") == 0) return tock();
  std::fputs("usage: bench_line tick COUNT MICROSECONDS | bench_line tock\n", stderr);
  return 2;
}
