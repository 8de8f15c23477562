// See calls.hpp.
#include "src/client/calls.hpp"

#include <algorithm>

namespace rexec::client {
namespace {

// Asking these twice is asking once. job.wait is not here: how long a lost link is waited for there
// is the verb's own flag.
bool only_reads(std::string_view verb) {
  for (const std::string_view one :
       {"whoami", "status", "node.ls", "node.show", "token.ls", "user.ls", "job.ls", "job.show",
        "job.resolve", "schedule.ls", "schedule.show", "schedule.next"})
    if (verb == one) return true;
  return false;
}

// One session that asks all of it, a few at a time.
class Asking {
 public:
  Asking(Connector& connector, const std::string& verb, const std::vector<wire::Map>& args,
         const OnAnswer& on_answer)
      : connector_(connector),
        verb_(verb),
        args_(args),
        on_answer_(on_answer),
        remote_(context_.get_executor()) {}

  // kControllerDown and the like: nobody was asked.
  Result<void> run(net::Patience patience) {
    net::spawn(context_.get_executor(), begin(patience));
    context_.run();
    return result_;
  }

 private:
  static constexpr std::size_t kAtOnce = 32;

  net::Task<> begin(net::Patience patience) {
    auto transport = co_await connector_.dial(patience);
    if (!transport) {
      result_ = std::unexpected(transport.error());
      co_return;
    }
    remote_.start(std::move(*transport), connector_.hello());
    workers_ = std::min(kAtOnce, args_.size());
    for (std::size_t i = 0; i < workers_; ++i) net::spawn(context_.get_executor(), work());
  }
  net::Task<> work() {
    bool answered = true;
    while (next_ < args_.size()) {
      const std::size_t mine = next_++;
      auto answer = co_await remote_.call(verb_, args_[mine]);
      answered = answered && answer.has_value();
      on_answer_(mine, std::move(answer));
    }
    if (--workers_ > 0) co_return;
    if (answered) co_await connector_.renew_if_due(remote_);
    context_.stop();
  }

  Connector& connector_;
  const std::string& verb_;
  const std::vector<wire::Map>& args_;
  const OnAnswer& on_answer_;
  asio::io_context context_{1};
  Remote remote_;
  std::size_t next_ = 0;
  std::size_t workers_ = 0;
  Result<void> result_;
};

Result<wire::Map> ask(Connector& connector, net::Patience patience, const std::string& verb,
                      const wire::Map& args) {
  Result<wire::Map> result = fail(Code::kInternal, "no answer");
  const OnAnswer keep = [&](std::size_t, Result<wire::Map> answer) { result = std::move(answer); };
  const std::vector<wire::Map> one{args};
  const auto asked = Asking(connector, verb, one, keep).run(patience);
  if (!asked) return std::unexpected(asked.error());
  return result;
}

// A list as far as it has come.
class Pages {
 public:
  Pages(wire::Map args, std::string list, std::uint64_t most)
      : list_(std::move(list)), most_(most) {
    questions_.push_back(std::move(args));
    limit();
  }
  const std::vector<wire::Map>& questions() const { return questions_; }
  // Puts the next question when there is one.
  void take(Result<wire::Map> answer) {
    if (!answer) {
      whole_ = std::move(answer);
      return;
    }
    for (wire::Map& row : wire::take_child(*answer, list_)) rows_.push_back(std::move(row));
    const std::string more = wire::text_or(*answer, "more");
    if (!whole_) whole_ = std::move(answer);
    if (more.empty() || rows_.size() >= most_) return;
    if (more == wire::text_or(questions_.back(), "after")) {
      whole_ = fail(Code::kProtocol, "the controller's list does not come to its end");
      return;
    }
    questions_.push_back(questions_.back());
    questions_.back()["after"] = more;
    limit();
  }
  Result<wire::Map> whole() {
    if (!whole_) return whole_;
    whole_->erase("more");
    (*whole_)[list_] = std::move(rows_);
    return std::move(whole_);
  }

 private:
  static constexpr std::uint64_t kPage = 200;  // what the controller gives of jobs at once

  void limit() {
    if (most_ != ~std::uint64_t{0})
      questions_.back()["limit"] = std::min<std::uint64_t>(most_ - rows_.size(), kPage);
  }

  std::string list_;
  std::uint64_t most_;
  std::vector<wire::Map> questions_;
  wire::Map rows_ = wire::Map::array();
  Result<wire::Map> whole_ = fail(Code::kInternal, "no answer");
};

Result<wire::Map> ask_pages(Connector& connector, net::Patience patience, const std::string& verb,
                            Pages pages) {
  const OnAnswer take = [&](std::size_t, Result<wire::Map> answer) {
    pages.take(std::move(answer));
  };
  const auto asked = Asking(connector, verb, pages.questions(), take).run(patience);
  if (!asked) return std::unexpected(asked.error());
  return pages.whole();
}

Error say_unknown(Error error, const std::string& verb) {
  if (error.code != Code::kLinkLost) return error;
  error.message = "the link went before the answer came: " + error.message;
  if (verb != "job.wait" && verb != "node.wait")
    error.hint = "it may have been done or not: look, then try again if need be";
  return error;
}

}  // namespace

Result<wire::Map> call_once(const ConnectOptions& options, const std::string& verb,
                            wire::Map args) {
  auto connector = Connector::load(options);
  if (!connector) return std::unexpected(connector.error());
  auto result = ask(*connector, net::Patience::kAfterCut, verb, args);
  if (result || result.error().code != Code::kLinkLost) return result;
  if (only_reads(verb)) return ask(*connector, net::Patience::kUntilTimeout, verb, args);
  return std::unexpected(say_unknown(result.error(), verb));
}

Result<wire::Map> call_pages(const ConnectOptions& options, const std::string& verb, wire::Map args,
                             const std::string& list, std::uint64_t most) {
  auto connector = Connector::load(options);
  if (!connector) return std::unexpected(connector.error());
  const Pages pages(std::move(args), list, most);
  auto result = ask_pages(*connector, net::Patience::kAfterCut, verb, pages);
  if (result || result.error().code != Code::kLinkLost) return result;
  return ask_pages(*connector, net::Patience::kUntilTimeout, verb, pages);
}

Result<void> call_many(const ConnectOptions& options, const std::string& verb,
                       const std::vector<wire::Map>& args, const OnAnswer& on_answer) {
  auto connector = Connector::load(options);
  if (!connector) return std::unexpected(connector.error());
  const OnAnswer tell = [&](std::size_t index, Result<wire::Map> answer) {
    if (answer) return on_answer(index, std::move(answer));
    on_answer(index, std::unexpected(say_unknown(answer.error(), verb)));
  };
  return Asking(*connector, verb, args, tell).run(net::Patience::kAfterCut);
}

}  // namespace rexec::client
