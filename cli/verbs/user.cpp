// `rexec user ls|revoke`: the people. They come in by `rexec token new --user`.
#include "cli/line/call.hpp"
#include "cli/line/errors.hpp"
#include "cli/line/listing.hpp"
#include "src/base/text.hpp"

namespace rexec::cli {
namespace {

int run_ls(const Invocation& invocation) {
  Result<wire::Map> answer = call_pages(invocation.globals, "user.ls", "users");
  if (!answer) return fail_with(invocation.globals, answer.error());
  Listing listing;
  listing.headings = {{"USER"}, {"ROLE"}, {"SINCE"}, {"ID", Column::kWide}};
  for (wire::Map& user : wire::take_child(*answer, "users")) {
    listing.add({cell(user, "name"), cell(user, "role"), cell(user, "created"), cell(user, "id")},
                wire::text_or(user, "name"), std::move(user));
  }
  return print_listing(invocation.globals, listing);
}

int run_revoke(const Invocation& invocation) {
  // Without a question: who revokes a lost key is in a hurry.
  return call_for_each(invocation.globals, "user.revoke", "name", invocation.args.words(),
                       "revoked");
}

constinit const Verb kLs{
    .name = "ls", .summary = "the people who may sign in", .run = run_ls, .formats = kAllFormats};
constinit const Verb kRevoke{.name = "revoke",
                             .summary = "end people's sessions and refuse their keys",
                             .synopsis = "USER…",
                             .least = 1,
                             .most = SIZE_MAX,
                             .run = run_revoke};
constexpr const Verb* kSubs[] = {&kLs, &kRevoke};

}  // namespace

constinit const Verb user_verb{.name = "user",
                               .summary = "look at people, revoke them",
                               .synopsis = "ls|revoke",
                               .subs = kSubs};

}  // namespace rexec::cli
