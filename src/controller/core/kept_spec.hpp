// A command that a job needs until its node has it, with what it takes of its owner's budget
// (Hub::keep_spec). The share belongs to the reactor's thread and goes with the last job or start
// that has the command. The bytes are an object of their own, so that the store's thread can have
// them without a copy: whoever is the last to let go of them frees a string and nothing else. An
// operation on the store captures bytes(), never the command itself. Pure.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "src/controller/core/budget.hpp"

namespace rexec::controller {

class KeptSpec {
 public:
  KeptSpec(Share share, std::string text)
      : share_(std::move(share)), bytes_(std::make_shared<const std::string>(std::move(text))) {}
  std::size_t size() const { return bytes_->size(); }
  bool empty() const { return bytes_->empty(); }
  const std::string& text() const { return *bytes_; }
  std::shared_ptr<const std::string> bytes() const { return bytes_; }

 private:
  Share share_;
  std::shared_ptr<const std::string> bytes_;
};

}  // namespace rexec::controller
