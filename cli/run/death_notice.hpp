// Tells the controller that a client was killed or crashed. The client cannot say so, and the
// controller cannot tell the end of its connection from a tunnel that was cut. While jobs run that
// end with their client, a child process waits for the client's death and then becomes the program
// `rexec __client-ended`, which tells the controller.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/run/follow.hpp"

namespace rexec::os {
class ExecOnDeath;
}  // namespace rexec::os

namespace rexec::cli {

class DeathNotice {
 public:
  // Later than most commands last: they do not pay for it.
  static constexpr Millis kAfter{10};

  // `context`: the name of the context that the jobs were started in.
  DeathNotice(const FollowOptions& options, std::string context);
  ~DeathNotice();
  DeathNotice(const DeathNotice&) = delete;
  DeathNotice& operator=(const DeathNotice&) = delete;

  // Once these jobs are known. Nothing happens where the jobs go on without their client anyhow,
  // and where the system has no process to spare.
  void prepare(const std::vector<std::string>& jobs);
  // From here on the child says nothing: the client has said that it ends, or the jobs are to go
  // on.
  void withdraw();
  // The client ends and cannot say so now, because the link or a node is away: the child says it
  // after the client's end, for as long as it tries. False when there is no child.
  bool hand_over();

 private:
  const FollowOptions& options_;
  std::string context_;
  std::unique_ptr<os::ExecOnDeath> watch_;
  bool is_withdrawn_ = false;
};

}  // namespace rexec::cli
