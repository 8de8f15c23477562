// A temporary directory that goes away with its contents, and its descriptor.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "src/os/fd.hpp"
#include "tests/support/until.hpp"

namespace rexec::job {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "rexec-job-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data()) != nullptr ? pattern : "";
    fd_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    // A warm shim that is just leaving may still be making or removing files in it.
    test::until([&] {
      std::error_code error;
      std::filesystem::remove_all(path_, error);
      return !error;
    });
  }
  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }

 private:
  std::string path_;
  os::UniqueFd fd_;
};

}  // namespace rexec::job
