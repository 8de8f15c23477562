// One lock: who holds its slots, and who stands in line for them, in the order of arrival. Pure.
// Of several numbers of slots the smallest that a holder or somebody further ahead has named holds.
// It decides nothing: queue.* does. A line may have a hundred thousand places, so nothing here
// walks all of it: places are kept in blocks that know how many they are and their least number.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/base/ids.hpp"

namespace rexec::controller {

class LockLine {
 public:
  explicit LockLine(std::string lock_key) : key(std::move(lock_key)) {}

  void hold(const JobId& job, std::uint32_t slots);
  void release(const JobId& job);
  // The first of those that hold it; nullptr: nobody does.
  const JobId* holder() const { return holders_.empty() ? nullptr : &holders_.begin()->first; }

  // A number is a place in the order of arrival.
  void enter(std::uint64_t number, std::uint32_t slots);
  void leave(std::uint64_t number);
  std::uint64_t front() const { return blocks_.front().places.front().first; }
  bool has_line() const { return !blocks_.empty(); }
  // For that place nothing is left of what holders have and those ahead of it are to have.
  bool is_full_for(std::uint64_t number, std::uint32_t slots) const;

  const std::string key;
  std::set<std::uint64_t> stuck;  // of the line: it was full for them when they were looked at
  bool is_due = false;            // something was freed: the stuck ones are to be looked at

 private:
  using Place = std::pair<std::uint64_t, std::uint32_t>;  // number and slots
  struct Block {
    std::vector<Place> places;
    std::uint32_t least = UINT32_MAX;  // of their slots
    void count();
  };
  std::size_t block_of(std::uint64_t number) const;
  std::uint32_t least_held() const { return told_.empty() ? UINT32_MAX : told_.begin()->first; }

  std::map<JobId, std::uint32_t> holders_;
  std::map<std::uint32_t, std::size_t> told_;  // the holders' slots, and how many named each
  std::vector<Block> blocks_;                  // none is empty
};

}  // namespace rexec::controller
