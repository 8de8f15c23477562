// The gate of a session: nothing of a peer is told before its HELLO was accepted or after a close,
// in whatever order and in however few bytes it comes.
#include <doctest/doctest.h>

#include "tests/unit/wire/harness.hpp"

using namespace rexec;
using namespace rexec::wire;
using namespace rexec::wire::test;

namespace {

const Error kRefused{Code::kRevoked, "your certificate was revoked", ""};

// One frame of every kind that a peer may send behind its HELLO.
std::string everything() {
  return raw_map(FrameType::kRequest, 0, {{"id", 1}, {"verb", "job.report"}}) +
         raw_map(FrameType::kNotice, 0, {{"verb", "gone"}}) +
         raw_map(FrameType::kOpen, 1, {{"kind", "submit"}}) + raw(FrameType::kData, 1, "spec", 3) +
         raw_map(FrameType::kEvent, 1, {{"t", "end"}}) +
         raw_map(FrameType::kSignal, 1, {{"t", "stop"}}) + raw(FrameType::kEnd, 1, "") +
         raw_map(FrameType::kOpen, 3, {{"kind", "attach"}}) +
         raw_map(FrameType::kReset, 3, error_to_map(kRefused));
}
std::string goodbye() { return raw_map(FrameType::kClose, 0, error_to_map({Code::kBusy, "", ""})); }

enum class Answer { kAccept, kRefuse, kNothing };

// As a handler sees it that answers HELLO while it is told of it.
Trace told(Session& session, Answer answer) {
  Trace out;
  Event event;
  while (session.next_event(event)) {
    out.push_back(std::visit(Describe{}, event));
    if (!std::holds_alternative<event::Hello>(event)) continue;
    if (answer == Answer::kAccept) session.send_hello({{"role", "controller"}});
    if (answer == Answer::kRefuse) session.close(kRefused);
  }
  session.check_invariants();
  return out;
}

}  // namespace

TEST_CASE("gate: what came in the same bytes as a HELLO is served when that is accepted") {
  Session session(options(Side::kAcceptor));
  feed(session, raw_hello() + everything());
  CHECK(told(session, Answer::kAccept) == Trace{"hello user", "request 1 job.report", "notice gone",
                                                "opened 1 submit", "data 1 spec spec",
                                                "event 1 end", "signal 1 stop", "ended 1",
                                                "opened 3 attach", "reset 3 revoked"});
  CHECK(session.serves());
}

TEST_CASE("gate: nothing that came with a HELLO is served when that is refused") {
  for (const auto& behind : {everything(), everything() + goodbye(), goodbye(),
                             everything() + raw_hello(), everything() + std::string(40, '?')}) {
    for (const Trust trust : {Trust::kAuthenticated, Trust::kStranger}) {
      Session session(options(Side::kAcceptor, trust));
      feed(session, raw_hello() + behind);
      const Trace trace = told(session, Answer::kRefuse);
      REQUIRE(trace.size() == 2);
      CHECK(trace[0] == "hello user");
      CHECK(trace[1].starts_with("closed "));
      CHECK_FALSE(session.serves());
      feed(session, everything());
      CHECK(told(session, Answer::kAccept).empty());
    }
  }
}

TEST_CASE("gate: the bytes may be cut anywhere") {
  const std::string bytes = raw_hello() + everything();
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Session session(options(Side::kAcceptor));
    feed(session, std::string_view(bytes).substr(0, cut));
    Trace trace = told(session, Answer::kRefuse);
    feed(session, std::string_view(bytes).substr(cut));
    for (auto& more : told(session, Answer::kRefuse)) trace.push_back(std::move(more));
    CHECK(trace == Trace{"hello user", "closed revoked"});
  }
}

TEST_CASE("gate: a HELLO that is neither accepted nor refused is refused") {
  Session session(options(Side::kAcceptor));
  feed(session, raw_hello() + everything());
  CHECK(told(session, Answer::kNothing) == Trace{"hello user", "closed denied"});
  CHECK(take(session).find("not accepted") != std::string::npos);
}

TEST_CASE("gate: nothing serves before the HELLO was told and accepted") {
  Session session(options(Side::kAcceptor));
  CHECK_FALSE(session.serves());
  feed(session, raw_hello());
  CHECK(session.greeted());
  CHECK_FALSE(session.serves());
}

TEST_CASE("gate: a close ends what has come and was not told yet") {
  Pair pair;
  feed(pair.acceptor, everything());
  pair.acceptor.close(kRefused);
  CHECK(trace(pair.acceptor) == Trace{"closed revoked"});
  CHECK_FALSE(pair.acceptor.serves());
}

TEST_CASE("gate: a peer's own end comes behind what it said before, unless we close first") {
  Pair heard, closed;
  const std::string last = raw_map(FrameType::kRequest, 0, {{"id", 1}, {"verb", "job.report"}});
  feed(heard.acceptor, last + goodbye());
  CHECK(trace(heard.acceptor) == Trace{"request 1 job.report", "closed busy"});
  feed(closed.acceptor, last + goodbye());
  closed.acceptor.close(kRefused);
  CHECK(trace(closed.acceptor) == Trace{"closed busy"});
}

TEST_CASE("gate: a dialler too is told nothing more once it has closed") {
  Session session(options(Side::kDialler));
  session.send_hello({{"role", "node"}});
  feed(session, raw_hello() + raw_map(FrameType::kRequest, 0, {{"id", 1}, {"verb", "job.stop"}}));
  CHECK(told(session, Answer::kRefuse) == Trace{"hello user", "closed revoked"});
}
