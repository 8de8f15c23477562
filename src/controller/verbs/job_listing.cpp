#include "src/controller/verbs/job_listing.hpp"

#include <algorithm>
#include <charconv>

#include "src/controller/verbs/paging.hpp"

namespace rexec::controller {
namespace {

// Of the jobs in memory, in one turn of the reactor: half a millisecond for those that do not fit.
constexpr std::size_t kLooksInTurn = 4096;

class Listing : public std::enable_shared_from_this<Listing> {
 public:
  Listing(Hub& hub, JobQuery query, std::function<void(Result<wire::Map>)> answered)
      : hub_(hub), query_(std::move(query)), answered_(std::move(answered)), page_(query_.limit) {}

  void go_on();

 private:
  // What comes of the store and of memory up to `until`; nullopt: up to the end.
  void add(const std::vector<store::JobRow>& rows, const std::optional<store::JobPlace>& until);
  bool fits(const Job& job) const;
  bool put(const Job& job);
  void use(const store::JobPage& page);
  void go_on_later();
  void finish();

  Hub& hub_;
  JobQuery query_;
  std::function<void(Result<wire::Map>)> answered_;
  Page page_;
  bool pauses_ = false;  // it has looked at enough for this turn
};

store::JobPlace place_of(const Job& job) {
  return {job.created.time_since_epoch().count(), job.key.job.text};
}

bool Listing::fits(const Job& job) const {
  const auto& [owner, node, state] = query_.filter;
  return (owner.empty() || job.owner == owner) && (node.empty() || job.node_name == node) &&
         (state.empty() || job.shown_state() == state ||
          (state == "waiting" && !job.waiting.empty())) &&
         (query_.which == JobQuery::Which::kAll || !job.is_final());
}

// False when it is one too many; what was put is where the next page goes on.
bool Listing::put(const Job& job) {
  const store::JobPlace place = place_of(job);
  if (!page_.put(job_to_map(job), to_cursor(place))) return false;
  query_.after = place;
  return true;
}

void Listing::add(const std::vector<store::JobRow>& rows,
                  const std::optional<store::JobPlace>& until) {
  const auto& memory = hub_.jobs().newest_first();
  auto held = memory.lower_bound({WallTime{Millis{query_.after.created_ms}}, {query_.after.id}});
  std::size_t looked = 0;
  const auto from_memory = [&](const store::JobPlace* last) {
    for (; held != memory.end() && !page_.is_full(); ++held) {
      Job& job = *held->second;
      const store::JobPlace place = place_of(job);
      if (last != nullptr && last->is_before(place)) return true;
      if (!query_.after.is_before(place)) continue;
      pauses_ = looked++ == kLooksInTurn;
      if (pauses_) return false;
      if (fits(job)) {
        hub_.dispatcher().refresh(job);
        if (!put(job)) return false;
      }
      query_.after = place;
    }
    return !page_.is_full();
  };
  for (const auto& row : rows) {
    const store::JobPlace place{row.created_ms, row.id.text};
    if (!from_memory(&place)) return;
    if (hub_.jobs().find(row.id) != nullptr) continue;  // that was memory's to tell
    if (!put(job_from_row(row))) return;
  }
  if (!from_memory(until ? &*until : nullptr)) return;
  if (until) query_.after = *until;
}

void Listing::go_on() {
  if (query_.which == JobQuery::Which::kUnfinished) {
    add({}, std::nullopt);
    return pauses_ ? go_on_later() : finish();
  }
  store::JobPageOptions options{query_.filter, query_.after, query_.limit - page_.size() + 1};
  hub_.ask<store::JobPage>(
      [options](store::Database& db) -> Result<store::JobPage> {
        return store::list_finished_jobs(db, options);
      },
      [self = shared_from_this()](Result<store::JobPage> page) {
        self->hub_.turns().go_on(self->query_.asker, [self, page = std::move(page)] {
          if (!page) return self->answered_(std::unexpected(page.error()));
          self->use(*page);
        });
      });
}

void Listing::use(const store::JobPage& page) {
  add(page.rows, page.next);
  if (pauses_) return go_on_later();
  // A page that looked at much and found little: commits have had their turn, on with it.
  if (page.next && !page_.is_full()) return go_on();
  finish();
}

// What the store had for this page is asked for again, from there on.
void Listing::go_on_later() {
  pauses_ = false;
  hub_.turns().go_on(query_.asker, [self = shared_from_this()] { self->go_on(); });
}

void Listing::finish() { answered_(page_.answer("jobs")); }

}  // namespace

std::string to_cursor(const store::JobPlace& place) {
  return std::to_string(place.created_ms) + "." + place.id;
}

Result<store::JobPlace> parse_cursor(const std::string& text) {
  store::JobPlace place;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, place.created_ms);
  if (error != std::errc() || stop == end || *stop != '.' || end - stop > 32)
    return fail(Code::kUsage, "\"after\" is not a place in this list", "begin anew, without it");
  place.id.assign(stop + 1, end);
  return place;
}

void list_jobs(Hub& hub, JobQuery query, std::function<void(Result<wire::Map>)> answered) {
  std::make_shared<Listing>(hub, std::move(query), std::move(answered))->go_on();
}

}  // namespace rexec::controller
