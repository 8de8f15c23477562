// See calls.hpp.
#include "src/client/calls.hpp"

#include <algorithm>

namespace rexec::client {
namespace {

// Asking these twice is asking once. job.wait is not here: how long a lost link is waited for there
// is the verb's own flag.
bool only_reads(std::string_view verb) {
  for (const std::string_view one : {"whoami", "status", "node.ls", "node.show", "token.ls",
                                     "user.ls", "job.ls", "job.show", "job.resolve"})
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
      const auto answer = co_await remote_.call(verb_, args_[mine]);
      answered = answered && answer.has_value();
      on_answer_(mine, answer);
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
  const OnAnswer keep = [&](std::size_t, const Result<wire::Map>& answer) { result = answer; };
  const std::vector<wire::Map> one{args};
  const auto asked = Asking(connector, verb, one, keep).run(patience);
  if (!asked) return std::unexpected(asked.error());
  return result;
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

Result<void> call_many(const ConnectOptions& options, const std::string& verb,
                       const std::vector<wire::Map>& args, const OnAnswer& on_answer) {
  auto connector = Connector::load(options);
  if (!connector) return std::unexpected(connector.error());
  const OnAnswer tell = [&](std::size_t index, const Result<wire::Map>& answer) {
    if (answer) return on_answer(index, answer);
    on_answer(index, std::unexpected(say_unknown(answer.error(), verb)));
  };
  return Asking(*connector, verb, args, tell).run(net::Patience::kAfterCut);
}

}  // namespace rexec::client
