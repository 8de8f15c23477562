// Random targets and fleets: printing parses back, resolving agrees with asking each node, folding
// loses nothing, natural order is an order.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>

#include "src/select/fold.hpp"
#include "src/select/order.hpp"
#include "src/select/parse.hpp"
#include "src/select/resolve.hpp"

using namespace rexec;
using namespace rexec::select;

static rc::Gen<std::string> any_name() {
  return rc::gen::map(
      rc::gen::tuple(rc::gen::element<std::string>("n", "web", "r1n", "a.b-"),
                     rc::gen::inRange(0, 30), rc::gen::inRange(0, 4)),
      [](const std::tuple<std::string, int, int>& parts) {
        std::string digits = std::to_string(std::get<1>(parts));
        const auto width = static_cast<std::size_t>(std::get<2>(parts));
        if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
        return std::get<0>(parts) + digits;
      });
}

// Text of a target with at most `depth` levels.
static rc::Gen<std::string> any_target(int depth) {
  const auto leaf = rc::gen::oneOf(
      any_name(), rc::gen::element<std::string>("@g1", "@g2", "@all", "os=linux", "os=bsd", "z=1"));
  if (depth == 0) return leaf;
  const auto inner = any_target(depth - 1);
  const auto pair = [inner](const char* with) {
    return rc::gen::map(rc::gen::pair(inner, inner), [with](const auto& two) {
      return "(" + two.first + ")" + with + "(" + two.second + ")";
    });
  };
  const auto negated = rc::gen::map(inner, [](const std::string& x) { return "!(" + x + ")"; });
  return rc::gen::oneOf(leaf, pair(","), pair("&"), negated);
}

static rc::Gen<std::vector<InventoryNode>> any_fleet() {
  const auto names = rc::gen::container<std::set<std::string>>(any_name());
  return rc::gen::exec([names] {
    std::vector<InventoryNode> fleet;
    for (const std::string& name : *names) {
      InventoryNode node{name, {}, {}};
      node.labels["os"] = *rc::gen::element<std::string>("linux", "bsd");
      if (*rc::gen::arbitrary<bool>()) node.groups.push_back("g1");
      if (*rc::gen::arbitrary<bool>()) node.groups.push_back("g2");
      fleet.push_back(std::move(node));
    }
    return fleet;
  });
}

TEST_CASE("select: the text of a selector parses back to the same selector") {
  CHECK(rc::check([] {
    const Selector selector = parse_target(*any_target(3)).value();
    const Result<Selector> again = parse_target(to_text(selector));
    RC_ASSERT(again.has_value());
    RC_ASSERT(to_text(*again) == to_text(selector));
  }));
}

TEST_CASE("select: resolve answers with exactly the nodes that match, in order, or an error") {
  CHECK(rc::check([] {
    const Selector selector = parse_target(*any_target(3)).value();
    const auto fleet = *any_fleet();
    const auto found = resolve(selector, fleet);
    if (!found) {
      RC_ASSERT(found.error().code == Code::kUnknownNode);
      return;
    }
    std::set<std::string> expected;
    for (const InventoryNode& node : fleet) {
      if (matches(selector, node)) expected.insert(node.name);
    }
    RC_ASSERT(std::set<std::string>(found->begin(), found->end()) == expected);
    RC_ASSERT(std::ranges::is_sorted(*found, natural_less));
    RC_ASSERT(found->size() == expected.size());
  }));
}

TEST_CASE("select: folded names expand to the same names") {
  CHECK(rc::check([] {
    const auto names = *rc::gen::nonEmpty(rc::gen::container<std::set<std::string>>(any_name()));
    const std::vector<std::string> list(names.begin(), names.end());
    const Result<Selector> parsed = parse_target(fold_names(list));
    RC_ASSERT(parsed.has_value());
    RC_ASSERT(std::set<std::string>(parsed->names.begin(), parsed->names.end()) == names);
  }));
}

TEST_CASE("select: natural order is strict, total and transitive") {
  CHECK(rc::check([] {
    const std::string a = *any_name();
    const std::string b = *any_name();
    const std::string c = *any_name();
    RC_ASSERT_FALSE(natural_less(a, a));
    RC_ASSERT((a == b) != (natural_less(a, b) || natural_less(b, a)));
    if (natural_less(a, b) && natural_less(b, c)) RC_ASSERT(natural_less(a, c));
  }));
}

TEST_CASE("select: any bytes get an answer") {
  CHECK(rc::check([] {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::oneOf(rc::gen::arbitrary<char>(), rc::gen::element(',', '&', '!', '(', ')', '[',
                                                                    ']', '-', '@', '=', '1', 'a')));
    const Result<Selector> parsed = parse_target(text);
    if (!parsed) RC_ASSERT(!parsed.error().message.empty());
  }));
}
