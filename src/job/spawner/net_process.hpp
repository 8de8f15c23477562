// The net process as the spawner keeps it: started by exec, started again with back-off when it
// dies, spoken to over one socket. What happens to be unsent when it dies is not kept: the next one
// is told everything anew. Part of the spawner.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "src/job/ipc/link.hpp"
#include "src/job/spawner/spawner.hpp"
#include "src/os/epoll.hpp"
#include "src/os/users.hpp"

namespace rexec::job {

class NetProcess {
 public:
  struct Events {
    std::function<void(const link::ToSpawner&, std::vector<os::UniqueFd>)> message;
    std::function<void()> started;  // a new one: tell it everything
    std::function<void()> drained;  // all that was posted is sent
    std::function<void(int)> gone;  // it will not be started again; its exit status
  };
  NetProcess(os::EventLoop& loop, const SpawnerOptions& options, Events events);
  ~NetProcess();

  void start();
  // Queued until the socket takes it; thrown away while no net is there.
  void post(link::FromSpawner message, std::vector<os::UniqueFd> fds = {});
  // Sends until the socket is full or there is nothing left, not even after `drained`.
  void flush();
  bool idle() const { return outbox_.empty(); }
  bool running() const { return static_cast<bool>(process_.pidfd); }
  // TERM now; `gone` follows when it has ended.
  void stop();
  void kill();

 private:
  struct Letter {
    std::string bytes;
    std::vector<os::UniqueFd> fds;
  };
  Result<os::Child> launch(os::UniqueFd net_end);
  [[noreturn]] void become_net(int socket);
  bool send_front();
  void receive_some();
  void on_exit();
  void retry_later();
  void hang_up();
  void watch_socket();

  os::EventLoop& loop_;
  const SpawnerOptions& options_;
  Events events_;
  os::Child process_;
  os::UniqueFd socket_;
  os::UniqueFd ready_;
  os::EventLoop::Token socket_token_ = 0, process_token_ = 0, retry_token_ = 0;
  std::deque<Letter> outbox_;
  BootTime born_;
  Nanos pause_;
  bool stopping_ = false;
  bool flushing_ = false;
};

}  // namespace rexec::job
