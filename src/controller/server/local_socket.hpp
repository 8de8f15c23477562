// What whoever owns the data directory may ask of the controller that runs on it: a backup. A Unix
// socket in the directory, for the own uid and root alone, because a certificate says who may run
// jobs, not who may have the cluster's keys. One message each way. Opened by server.cpp.
#pragma once

#include <memory>
#include <string>

#include "src/controller/state/hub.hpp"

namespace rexec::controller {

inline constexpr const char* kLocalSocket = "controller.sock";

class LocalSocket {
 public:
  static Result<std::unique_ptr<LocalSocket>> listen(Hub& hub, const std::string& data_dir);
  ~LocalSocket();

 private:
  class Impl;
  explicit LocalSocket(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace rexec::controller
