#include "src/agent/message_socket.hpp"

#include "src/net/session_driver.hpp"

namespace rexec::agent {
namespace {

// One for the thread: a message is decoded before the next is received.
MutableBytes staging() {
  static thread_local auto memory = std::make_unique_for_overwrite<std::uint8_t[]>(os::kMaxMessage);
  return {memory.get(), os::kMaxMessage};
}

}  // namespace

MessageSocket::MessageSocket(const net::Executor& executor, os::UniqueFd socket,
                             OnMessage on_message, OnClosed on_closed)
    : socket_(std::move(socket)),
      descriptor_(executor, socket_.get()),
      on_message_(std::move(on_message)),
      on_closed_(std::move(on_closed)) {
  static_cast<void>(os::set_blocking(socket_.get(), os::Blocking::kNo));
  wait_read();
}

MessageSocket::~MessageSocket() {
  *alive_ = false;
  descriptor_.release();
}

void MessageSocket::wait_read() {
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [this, alive = alive_](const asio::error_code& error) {
                           if (*alive && !error) read_all();
                         });
}

void MessageSocket::read_all() {
  const auto alive = alive_;
  net::Turn answers;
  for (int turn = 0; turn < 64; ++turn) {
    auto got = os::receive_message(socket_.get(), staging());
    if (got.status == os::IoStatus::kAgain) break;
    if (got.status != os::IoStatus::kDone) {
      const auto closed = on_closed_;
      closed();
      return answers.finish();
    }
    on_message_(staging().first(got.size), std::move(got.fds));
    if (!*alive) return answers.finish();
  }
  answers.finish();
  if (*alive) wait_read();
}

bool MessageSocket::send_now(const Outgoing& message, os::IoStatus& status) {
  std::vector<int> raw;
  for (const auto& fd : message.fds) raw.push_back(fd.get());
  status = os::send_message(socket_.get(), as_bytes(message.bytes), raw);
  return status == os::IoStatus::kDone;
}

void MessageSocket::send(std::string message, std::vector<os::UniqueFd> fds) {
  queue_.push_back({std::move(message), std::move(fds)});
  if (!writing_) flush();
}

void MessageSocket::flush() {
  os::IoStatus status = os::IoStatus::kDone;
  while (!queue_.empty() && send_now(queue_.front(), status)) queue_.pop_front();
  if (queue_.empty()) return;
  if (status != os::IoStatus::kAgain) return;  // the reading side reports the end
  writing_ = true;
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                         [this, alive = alive_](const asio::error_code& error) {
                           if (!*alive) return;
                           writing_ = false;
                           if (!error) flush();
                         });
}

std::vector<std::string> MessageSocket::take_unsent() {
  std::vector<std::string> unsent;
  for (Outgoing& message : queue_) unsent.push_back(std::move(message.bytes));
  queue_.clear();
  return unsent;
}

}  // namespace rexec::agent
