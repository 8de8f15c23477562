// A directory that is gone when the test is over.
#pragma once

#include <filesystem>
#include <string>

#include <doctest/doctest.h>
#include <stdlib.h>

struct TempDir {
  TempDir() {
    char name[] = "/tmp/rexec-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
  std::string path;
};
