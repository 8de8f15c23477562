// A job's output and stdin survive every crash and cut between its node and its reader: a thousand
// seeded runs of resume_model.hpp. A failure prints its seed; REXEC_SEED=N repeats that one alone.
#include "tests/property/wire/resume_model.hpp"

#include <cstdlib>

using namespace rexec;
using namespace rexec::wire;
using namespace rexec::wire::sim;

namespace {

class World {
 public:
  World(std::uint64_t seed, const Scale& scale, Counts& counts)
      : dice_(seed),
        scale_(scale),
        counts_(counts),
        reader_(scale, counts),
        relay_(counts),
        node_(scale, counts) {}

  void run(std::uint64_t troubled_steps) {
    for (std::uint64_t i = 0; i < troubled_steps; ++i) {
      trouble();
      step();
    }
    // From here on nothing fails any more, so everything must arrive.
    std::uint64_t left = 400'000;
    for (; left > 0 && !(reader_.finished() && node_.stdin_complete()); --left) {
      reader_.unstall();
      step();
    }
    REQUIRE(left > 0);
    REQUIRE(reader_.finished());
    REQUIRE(node_.stdin_complete());
  }

 private:
  void step() {
    ++counts_.steps;
    if (reader_.end == nullptr && dice_.one_in(10)) reader_.end = dial(reader_links_);
    if (node_.end == nullptr && dice_.one_in(10)) node_.end = dial(node_links_);
    switch (dice_.below(4)) {
      case 0:
        reader_.work(dice_);
        break;
      case 1:
        node_.work(dice_);
        break;
      case 2:
        move(reader_links_);
        break;
      default:
        move(node_links_);
    }
    relay_.check_memory();
    REQUIRE(counts_.relay_peak <= kInitialWindow + 64 * kHeaderSize + kInitialWindow / 16);
    const auto done = [](const auto& link) { return link->done(); };
    std::erase_if(reader_links_, done);
    std::erase_if(node_links_, done);
  }

  using Links = std::list<std::unique_ptr<Link>>;
  End* dial(Links& links) {
    Link& link = *links.emplace_back(std::make_unique<Link>());
    link.dialler.session.send_hello({{"role", "user"}});
    link.acceptor.session.send_hello({{"role", "controller"}});
    return &link.dialler;
  }

  // Something of what one end has to say goes under way, something arrives.
  void move(Links& links) {
    if (links.empty()) return;
    auto at = links.begin();
    std::advance(at, static_cast<long>(dice_.below(links.size())));
    Link& link = **at;
    End& to = dice_.one_in(2) ? link.dialler : link.acceptor;
    send(link.other(to), to);
    if (!to.over) arrive(links, link, to);
  }
  void send(End& from, End& to) {
    if (from.over || to.cut || to.inbox.size() >= scale_.buffered) return;
    const std::size_t room = scale_.buffered - to.inbox.size();
    const std::string bytes = test::take(from.session, test::kStart, 1 + dice_.below(room));
    to.inbox += bytes;
  }
  void arrive(Links& links, Link& link, End& to) {
    const std::size_t n = dice_.below(to.inbox.size() + 1);
    test::feed(to.session, std::string_view(to.inbox).substr(0, n));
    to.inbox.erase(0, n);
    if (to.cut && to.inbox.empty()) to.session.transport_lost("cut");
    Event event;
    while (to.session.next_event(event)) hear(links, link, to, event);
    to.session.check_invariants();
  }
  void hear(Links& links, Link& link, End& to, Event& event) {
    const auto* closed = std::get_if<event::Closed>(&event);
    if (closed != nullptr) REQUIRE(closed->error.code == Code::kLinkLost);
    const bool of_reader = &links == &reader_links_;
    if (&to == &link.acceptor) {
      if (auto* data = std::get_if<event::Data>(&event))
        relay_.relay(to, data->stream, std::move(data->frame));
      else if (auto* said = std::get_if<event::Event>(&event))
        relay_.relay(to, said->stream, std::move(said->frame));
      else
        relay_.hear(to, event, newest_node());
    } else if (of_reader && &to == reader_.end) {
      reader_.hear(event);
    } else if (!of_reader && &to == node_.end) {
      node_.hear(event);
    }
    if (closed != nullptr) to.over = true;
  }
  // As the relay sees it: it may be gone already.
  End* newest_node() {
    for (auto at = node_links_.rbegin(); at != node_links_.rend(); ++at) {
      End& end = (*at)->acceptor;
      if (!end.over && end.session.greeted() && !end.session.closed()) return &end;
    }
    return nullptr;
  }

  void trouble() {
    if (!dice_.one_in(150)) return;
    switch (dice_.below(5)) {
      case 0:
        ++counts_.cuts;
        return cut_all(reader_links_);
      case 1:
        ++counts_.cuts;
        return cut_all(node_links_);
      case 2:
        ++counts_.reader_crashes;
        kill(reader_links_, &Link::dialler);
        return reader_.crash();
      case 3:
        ++counts_.node_crashes;
        kill(node_links_, &Link::dialler);
        return node_.forget_link();
      default:
        ++counts_.relay_crashes;
        kill(reader_links_, &Link::acceptor);
        kill(node_links_, &Link::acceptor);
        relay_.crash();
    }
  }
  // Each direction loses a random part of what was under way; each end hears of it in its own time.
  void cut(Link& link) {
    for (End* end : {&link.dialler, &link.acceptor}) {
      if (!end->cut) end->inbox.resize(dice_.below(end->inbox.size() + 1));
      end->cut = true;
    }
  }
  void cut_all(Links& links) {
    for (auto& link : links) cut(*link);
  }
  void kill(Links& links, End Link::* side) {
    for (auto& link : links) {
      cut(*link);
      (*link.*side).over = true;
    }
  }

  Dice dice_;
  Scale scale_;
  Counts& counts_;
  Links reader_links_;
  Links node_links_;
  Reader reader_;
  Relay relay_;
  Node node_;
};

// Most runs are small, so that crashes hit every step of an attach; some meet the credit.
Scale scale_of(std::uint64_t seed) {
  if (seed % 20 == 0) return {3 << 20, 3 << 20, kMaxData, 128 << 10};
  if (seed % 20 == 1) return {2 << 20, 1'000, 9'000, 2'000};
  return {20'000 + seed % 7 * 5'000, 500 * (seed % 40), 1 + seed % 900, 1 + seed % 3'000};
}

}  // namespace

TEST_CASE("resume: through crashes of three roles each byte arrives once, in order") {
  Counts counts;
  const char* only = std::getenv("REXEC_SEED");
  const std::uint64_t first = only == nullptr ? 1 : std::strtoull(only, nullptr, 10);
  const std::uint64_t last = only == nullptr ? 1000 : first;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    INFO("seed " << seed);
    World(seed, scale_of(seed), counts).run(3'000);
  }
  MESSAGE(counts.steps << " steps, " << counts.cuts << " cuts, " << counts.reader_crashes << " + "
                       << counts.relay_crashes << " + " << counts.node_crashes
                       << " crashes of reader, relay, node; " << counts.attaches << " attaches, "
                       << counts.bytes_replayed << " bytes asked for again, "
                       << counts.stdin_doubled << " bytes of stdin that came twice and were taken "
                       << "once; most in the relay for a stream: " << counts.relay_peak);
  if (only == nullptr) CHECK(counts.attaches > 5'000);
}
