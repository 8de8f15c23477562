#include "src/controller/core/budget.hpp"

#include <algorithm>
#include <thread>

#include "src/base/check.hpp"

namespace rexec::controller {
namespace {

struct Words {
  const char* what;  // "your … are N, the limit is M"
  const char* next;
  bool is_bytes = false;
};

// As Resource.
constexpr std::array<Words, kResources> kWords{{
    {"open sessions",
     "end some of your clients, or let them keep one connection:"
     " rexec context persist"},
    {"requests without an answer", "ask again when some of them are answered"},
    {"commands of unfinished submits", "submit again when the others are complete", true},
    {"jobs that have not ended", "see: rexec ps\nend some of them: rexec stop JOB"},
    {"commands of jobs that no node has started",
     "see: rexec ps --state waiting\nsend large input through stdin: rexec run -i", true},
    {"commands of jobs that have not ended",
     "see: rexec ps\nsend large input through stdin: rexec run -i", true},
    {"open attachments", "end some of your readers: attach, logs -f, run"},
    {"bytes of output on their way", "end some of your readers: attach, logs -f, run", true},
    {"schedules", "see: rexec schedule ls\ndrop some: rexec schedule rm NAME"},
    {"commands of schedules",
     "put the script on the nodes with rexec run -i, and schedule its path", true},
    {"nodes that you wait for", "end some of your waits: rexec node wait"},
}};

std::size_t index(Resource what) { return static_cast<std::size_t>(what); }

std::string shown(std::uint64_t amount, const Words& words) {
  if (!words.is_bytes) return std::to_string(amount);
  if (amount < 1 << 20) return std::to_string(amount) + " bytes";
  return std::to_string(amount >> 20) + " MiB";
}

}  // namespace

struct Share::Usage {
  struct Used {
    std::uint64_t all = 0;
    std::unordered_map<std::string, std::uint64_t> by_user;  // none of them is zero
  };
  std::array<Used, kResources> used;
#ifndef NDEBUG
  const std::thread::id home = std::this_thread::get_id();
  void check_thread() const {
    check(std::this_thread::get_id() == home, "a budget and its shares are of one thread");
  }
#else
  void check_thread() const {}
#endif

  std::uint64_t of(const std::string& user, Resource what) const {
    const auto& by_user = used[index(what)].by_user;
    const auto at = by_user.find(user);
    return at == by_user.end() ? 0 : at->second;
  }
  void add(const std::string& user, Resource what, std::uint64_t amount) {
    check_thread();
    if (amount == 0) return;
    used[index(what)].all += amount;
    used[index(what)].by_user[user] += amount;
  }
  void give_back(const std::string& user, Resource what, std::uint64_t amount) {
    check_thread();
    if (amount == 0) return;
    Used& one = used[index(what)];
    one.all -= amount;
    const auto at = one.by_user.find(user);
    if ((at->second -= amount) == 0) one.by_user.erase(at);
  }
};

Share::~Share() {
  if (usage_) usage_->give_back(user_, what_, amount_);
}

void Share::swap(Share& other) noexcept {
  usage_.swap(other.usage_);
  user_.swap(other.user_);
  std::swap(what_, other.what_);
  std::swap(amount_, other.amount_);
}

Budget::Budget(std::array<Limit, kResources> limits)
    : limits_(limits), usage_(std::make_shared<Share::Usage>()) {}

std::uint64_t Budget::used(const UserId& user, Resource what) const {
  return usage_->of(user.text, what);
}

std::uint64_t Budget::used_by_all(Resource what) const { return usage_->used[index(what)].all; }

std::uint64_t Budget::left(const UserId& user, Resource what) const {
  const Limit& limit = limits_[index(what)];
  const auto& one = usage_->used[index(what)];
  const std::uint64_t has = used(user, what);
  const std::uint64_t own = limit.each - std::min(limit.each, has);
  if (one.all + own <= limit.all) return own;
  // Those who have some of it, and this one: an equal part is had whatever the others have.
  const std::uint64_t users = one.by_user.size() + (has == 0 ? 1 : 0);
  const std::uint64_t part = limit.all / users;
  const std::uint64_t free = limit.all - std::min(limit.all, one.all);
  return std::min(own, std::max(free, part - std::min(part, has)));
}

Share Budget::hold(const UserId& user, Resource what, std::uint64_t amount) {
  Share share;
  usage_->add(user.text, what, amount);
  share.usage_ = usage_;
  share.user_ = user.text;
  share.what_ = what;
  share.amount_ = amount;
  return share;
}

Result<Share> Budget::take(const UserId& user, Resource what, std::uint64_t amount) {
  if (amount <= left(user, what)) return hold(user, what, amount);
  const Words& words = kWords[index(what)];
  const Limit& limit = limits_[index(what)];
  const std::uint64_t has = used(user, what);
  const bool is_own = has + amount > limit.each;
  std::string message = std::string("your ") + words.what + " are " + shown(has, words) +
                        ", with this " + (amount == 1 ? "one " : "") + "they would be " +
                        shown(has + amount, words) + "; the limit for one user is " +
                        shown(limit.each, words);
  if (!is_own)
    message = std::string("the ") + words.what + " of all users are " +
              shown(used_by_all(what), words) + ", the limit is " + shown(limit.all, words) +
              "; yours are " + shown(has, words);
  return fail(Code::kLimit, std::move(message), words.next);
}

}  // namespace rexec::controller
