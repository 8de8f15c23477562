// The shim's end of the socket to net: keeps a picture of the job and what of it net has been told,
// and sends the difference when the socket takes it. So nothing queues up behind a slow net and a
// new connection simply starts from nothing told. Part of the shim.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "src/job/ipc/link.hpp"
#include "src/job/spool/spool.hpp"
#include "src/os/epoll.hpp"

namespace rexec::job {

class NetLink {
 public:
  // What net should know beside the spool.
  struct Picture {
    bool started = false;
    bool tty = false;
    std::uint32_t pid = 0;
    std::uint64_t started_ms = 0;
    link::StdinAck ack;
    link::Held held;
    std::optional<link::Exited> exited;
    std::string end_record;  // empty: not ended
  };
  struct Events {
    std::function<bool(const link::ToShim&)> message;  // false: close this connection
    std::function<void()> lost;
  };
  NetLink(os::EventLoop& loop, const SpoolWriter& spool, int directory_fd, Events events);
  ~NetLink();

  // New connections come in here; only those of the own user are let in.
  void listen(os::UniqueFd listener);
  void stop_listening();
  // The newest connection wins.
  void connect(os::UniqueFd socket);
  bool connected() const { return static_cast<bool>(socket_); }
  Picture picture;
  // Sends what the picture and the spool have that net does not.
  void flush();

 private:
  struct Told {
    bool state = false;
    bool started = false;
    std::uint32_t next_segment = 0;
    link::Output output;
    link::StdinAck ack;
    BootTime ack_at{};
    link::Held held;
    bool exited = false;
    bool end = false;
  };
  // Each returns false when the socket is full (or gone) and the rest must wait.
  bool tell_state();
  bool tell_segments();
  bool tell_output();
  bool tell_ack();
  bool tell_input();
  bool tell_end();
  bool send(const link::FromShim& message, int fd = -1);
  bool ack_is_due();
  void accept_one();
  void receive_some();
  void take_last_words();
  void drop();

  os::EventLoop& loop_;
  const SpoolWriter& spool_;
  int directory_;
  Events events_;
  os::UniqueFd listener_;
  os::EventLoop::Token listen_token_ = 0;
  os::UniqueFd socket_;
  os::EventLoop::Token token_ = 0;
  os::EventLoop::Token ack_timer_ = 0;
  Told told_;
};

}  // namespace rexec::job
