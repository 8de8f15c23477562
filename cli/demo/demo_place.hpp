// The private world of a demo: a temporary directory with XDG directories, `rexec` on PATH and a
// file of variables to source. Changes this process's environment for good; removes what it made.
#pragma once

#include <string>
#include <utility>

#include "src/base/error.hpp"

namespace rexec::cli {

class DemoPlace {
 public:
  // Makes the directory and points XDG_*, PATH there; REXEC_* are gone afterwards.
  static Result<DemoPlace> make();
  DemoPlace(DemoPlace&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  DemoPlace& operator=(DemoPlace&&) = delete;
  ~DemoPlace() { remove(); }

  const std::string& path() const { return path_; }
  std::string data(const std::string& daemon) const { return path_ + "/" + daemon; }
  std::string log(const std::string& daemon) const { return path_ + "/log/" + daemon; }
  std::string environment_file() const { return path_ + "/env"; }
  // False, with a word on stderr, when something could not be removed.
  bool remove();

 private:
  explicit DemoPlace(std::string path) : path_(std::move(path)) {}
  Result<void> fill() const;
  std::string path_;
};

}  // namespace rexec::cli
