// A SOCK_SEQPACKET end on the reactor: whole messages with descriptors in and out, in order, queued
// while the other side is slow. Used towards the spawner and towards each shim. It does not know
// what the bytes mean.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/net/task.hpp"
#include "src/os/seqpacket.hpp"

namespace rexec::agent {

class MessageSocket {
 public:
  using OnMessage = std::function<void(ByteSpan, std::vector<os::UniqueFd>)>;
  using OnClosed = std::function<void()>;

  // Takes the socket. Both callbacks may destroy this object.
  MessageSocket(const net::Executor& executor, os::UniqueFd socket, OnMessage on_message,
                OnClosed on_closed);
  ~MessageSocket();
  MessageSocket(const MessageSocket&) = delete;
  MessageSocket& operator=(const MessageSocket&) = delete;

  void send(std::string message, std::vector<os::UniqueFd> fds = {});
  // What the other side never got: for when it has closed, which the next send may notice before
  // OnClosed says so.
  std::vector<std::string> take_unsent();

 private:
  struct Outgoing {
    std::string bytes;
    std::vector<os::UniqueFd> fds;
  };
  void wait_read();
  void read_all();
  void flush();
  bool send_now(const Outgoing& message, os::IoStatus& status);

  os::UniqueFd socket_;
  asio::posix::stream_descriptor descriptor_;
  OnMessage on_message_;
  OnClosed on_closed_;
  std::deque<Outgoing> queue_;
  bool writing_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rexec::agent
