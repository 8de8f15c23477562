// A set of 64-bit keys in 8 bytes each, at most 22 with its free places: which requests there were.
// "No" is certain; "yes" means that the store must be asked, because two requests may share a key
// and because nobody counts how many jobs one request made. Open addressing, linear probing. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rexec::controller {

class KeySet {
 public:
  void reserve(std::size_t count);
  void insert(std::uint64_t key);
  bool contains(std::uint64_t key) const;
  void erase(std::uint64_t key);
  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const { return places_.size() * sizeof places_[0]; }

 private:
  std::size_t home(std::uint64_t key) const;
  std::size_t find(std::uint64_t key) const;  // its place, or the free one where it would go
  void resize(std::size_t places);

  std::vector<std::uint64_t> places_;  // a power of two of them; 0 is free
  std::size_t size_ = 0;
};

}  // namespace rexec::controller
