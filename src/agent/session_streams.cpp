// The session's streams and requests: starts, attachments, stops. Everything the controller sends
// is checked here first.
#include <algorithm>

#include "src/agent/session.hpp"
#include "src/base/fail_point.hpp"
#include "src/base/log.hpp"
#include "src/job/spec/spec.hpp"

namespace rexec::agent {

namespace event = wire::event;

namespace {

// Outputs of earlier attempts that were removed in the meantime are passed over, so many.
constexpr std::uint64_t kMostAttemptsTried = 100;

}  // namespace

Result<AttemptKey> attempt_key(const wire::Map& args) {
  auto job = wire::get_text(args, "job");
  if (!job) return std::unexpected(job.error());
  if (!is_id(*job, 'j')) return fail(Code::kProtocol, "field \"job\" is not a job id");
  auto attempt = wire::get_u64(args, "attempt", 1'000'000);
  if (!attempt) return std::unexpected(attempt.error());
  if (*attempt == 0) return fail(Code::kProtocol, "field \"attempt\" is 0");
  return AttemptKey{{*job}, static_cast<std::uint32_t>(*attempt)};
}

void Session::on_event(wire::Event event) {
  if (auto* data = std::get_if<event::Data>(&event)) {
    const auto reader = readers_.find(data->stream);
    if (data->channel == wire::Channel::kSpec)
      spec_data(data->stream, data->frame.payload());
    else if (data->channel == wire::Channel::kIn && reader != readers_.end())
      reader->second->on_stdin(data->frame.payload());
  } else if (auto* credit = std::get_if<event::Credit>(&event)) {
    const auto reader = readers_.find(credit->stream);
    if (reader != readers_.end()) reader->second->on_credit(credit->limit);
    prune_readers();
  } else if (auto* signal = std::get_if<event::Signal>(&event)) {
    const auto reader = readers_.find(signal->stream);
    auto map = wire::parse_map(signal->frame.payload());
    if (map && reader != readers_.end()) reader->second->on_signal(*map);
  } else if (auto* opening = std::get_if<event::Opened>(&event)) {
    opened(opening->stream, opening->kind, opening->args);
  } else if (auto* end = std::get_if<event::Ended>(&event)) {
    const auto reader = readers_.find(end->stream);
    if (starting_.contains(end->stream))
      start_complete(end->stream);
    else if (reader != readers_.end())
      reader->second->on_stdin_end();
  } else if (auto* reset = std::get_if<event::Reset>(&event)) {
    starting_.erase(reset->stream);
    drop_reader(reset->stream, reset->error.code);
  } else if (auto* request = std::get_if<event::Request>(&event)) {
    answer_request(request->id, request->verb, request->args);
  } else if (auto* response = std::get_if<event::Response>(&event)) {
    auto node = answers_.extract(response->id);
    if (!node.empty()) node.mapped()(response->result);
  } else if (std::holds_alternative<event::Hello>(event)) {
    reconcile();
  } else if (auto* closed = std::get_if<event::Closed>(&event)) {
    lost(closed->error);
  }
}

void Session::on_written() {
  if (pumping_) return;
  pumping_ = true;
  for (auto& [stream, reader] : readers_) reader->pump();
  pumping_ = false;
  prune_readers();
}

void Session::prune_readers() {
  if (pumping_) return;
  std::vector<std::shared_ptr<Reader>> moving;
  for (auto at = readers_.begin(); at != readers_.end();) {
    if (!at->second->finished()) {
      ++at;
      continue;
    }
    const auto reader = at->second;
    const auto job = reader->job();
    job->remove_reader(*reader, job::link::Gone::kUnknown);
    if (reader->moves_on()) {
      ++at;
      moving.push_back(reader);
    } else {
      at = readers_.erase(at);
    }
    book_->release(job->key());
  }
  for (const auto& reader : moving) follow(reader);
}

// The attempt has ended and the job has not: the reader's stream goes on with the next one.
void Session::follow(const std::shared_ptr<Reader>& reader) {
  if (!reader->awaits()) return;
  book_->await_next(reader->job(), [this, reader, driver = driver_](
                                       const std::shared_ptr<LocalJob>& next, const Error&) {
    if (driver != driver_ || !readers_.contains(reader->stream())) return;
    if (next) return reader->move_to(next);
    reader->stay();
    prune_readers();
  });
}

void Session::drop_reader(wire::StreamId stream, Code why) {
  const auto at = readers_.find(stream);
  if (at == readers_.end()) return;
  const auto reader = at->second;
  readers_.erase(at);
  for (auto& [key, early] : early_)
    if (std::erase(early.readers, reader) > 0) early.client_ended |= reader->client_ended();
  const auto job = reader->place();
  if (!job) return;
  job->remove_reader(
      *reader, why == Code::kControllerDown ? job::link::Gone::kUnknown : job::link::Gone::kSilent);
  book_->release(job->key());
}

void Session::opened(wire::StreamId stream, const std::string& kind, const wire::Map& args) {
  if (kind == "start") return open_start(stream, args);
  if (kind == "attach") return open_attach(stream, args);
  driver_->session().reset(stream, {Code::kProtocol, "unknown kind of stream", {}});
}

void Session::open_start(wire::StreamId stream, const wire::Map& args) {
  auto key = attempt_key(args);
  auto size = wire::get_u64(args, "spec_size", job::kMaxSpecBytes);
  const std::string ticket = wire::text_or(args, "ticket");
  const std::string owner = wire::text_or(args, "owner");
  if (!key || !size || ticket.size() > 1024 || owner.size() > 256)
    return driver_->session().reset(stream, {Code::kProtocol, "a start that cannot be read", {}});
  Starting starting{{*key, ticket, owner, wire::bool_or(args, "attach", false)}, {}, *size, 0};
  starting.spec.reserve(*size);
  fail_point(FailPoint::kNetStartOpened);
  starting_[stream] = std::move(starting);
}

void Session::spec_data(wire::StreamId stream, ByteSpan bytes) {
  const auto at = starting_.find(stream);
  if (at == starting_.end()) return;
  Starting& starting = at->second;
  if (starting.spec.size() + bytes.size() > starting.size) {
    starting_.erase(at);
    return driver_->session().reset(stream,
                                    {Code::kLimit, "more of a spec than was announced", {}});
  }
  starting.spec.append(as_text(bytes));
  driver_->session().grant(stream, starting.spec.size() + wire::kInitialWindow);
}

void Session::start_complete(wire::StreamId stream) {
  auto node = starting_.extract(stream);
  Starting& starting = node.mapped();
  if (starting.spec.size() != starting.size)
    return driver_->session().reset(stream, {Code::kProtocol, "a spec ended early", {}});
  const AttemptKey key = starting.start.key;
  fail_point(FailPoint::kNetStartReceived);
  book_->start(starting.start, starting.spec,
               [this, stream, key, driver = driver_](const std::shared_ptr<LocalJob>& job,
                                                     const Error& error) {
                 auto waiting = early_.extract(key);
                 if (driver != driver_)
                   return;  // the session that asked is gone; a later one will ask again
                 wire::Session& session = driver->session();
                 if (job) {
                   session.send_event(stream, {{"t", "started"}});
                   session.end(stream);
                   tell_again(*job);
                 } else {
                   session.reset(stream, error);
                 }
                 if (!waiting.empty()) {
                   if (job && waiting.mapped().client_ended) job->client_ended();
                   for (const auto& reader : waiting.mapped().readers) {
                     if (job) {
                       job->add_reader(reader);
                     } else {
                       readers_.erase(reader->stream());
                       session.reset(reader->stream(), error);
                     }
                   }
                 }
                 driver->flush_soon();
               });
  fail_point(FailPoint::kNetStartHanded);
}

// A start of what has ended: the controller had its record and forgot it, and the same request came
// again. Without this it would wait for an end that it was told long ago.
void Session::tell_again(LocalJob& job) {
  if (!job.ended() || !job.reported) return;
  job.reported = false;
  report(job);
  if (job.next_ms() != job::link::kNextIsThere) return;
  book_->open(job.next_key(),
              [this, driver = driver_](const std::shared_ptr<LocalJob>& next, const Error&) {
                if (driver == driver_ && next) tell_again(*next);
              });
}

void Session::open_attach(wire::StreamId stream, const wire::Map& args) {
  auto key = attempt_key(args);
  auto options = reader_options(args);
  if (!key || !options)
    return driver_->session().reset(stream, {Code::kProtocol, "an attach that cannot be read", {}});
  auto reader = std::make_shared<Reader>(driver_, stream, *options);
  readers_[stream] = reader;
  for (const auto& [other, starting] : starting_)
    if (starting.start.key == *key) return early_[*key].readers.push_back(reader);
  const std::uint64_t last = std::min(wire::u64_or(args, "last", key->attempt),
                                      std::uint64_t{key->attempt} + kMostAttemptsTried);
  open_from(*key, *key, static_cast<std::uint32_t>(last), reader);
}

// The first attempt from here on whose output is still there.
void Session::open_from(const AttemptKey& key, const AttemptKey& asked, std::uint32_t last,
                        const std::shared_ptr<Reader>& reader) {
  book_->open(key, [this, key, asked, last, reader, driver = driver_](
                       const std::shared_ptr<LocalJob>& job, const Error& error) {
    if (driver != driver_) return;
    if (!readers_.contains(reader->stream())) {
      if (job && reader->client_ended()) job->client_ended();
      return;
    }
    if (!job && error.code == Code::kUnknownJob && key.attempt < last)
      return open_from({key.job, key.attempt + 1}, asked, last, reader);
    const bool skipped = key != asked;
    if (job && skipped) {
      reader->move_to(job);
    } else if (job) {
      job->add_reader(reader);
    } else {
      readers_.erase(reader->stream());
      driver->session().reset(reader->stream(), error);
    }
    driver->flush_soon();
  });
}

// If a start of it is under way, it will not be begun, whatever of it still comes.
void Session::forget_start(const AttemptKey& key) {
  const auto is_its = [&](const auto& entry) { return entry.second.start.key == key; };
  const auto at = std::ranges::find_if(starting_, is_its);
  if (at == starting_.end()) return;
  starting_.erase(at);
  const auto waiting = early_.extract(key);
  if (waiting.empty()) return;
  for (const auto& reader : waiting.mapped().readers) {
    readers_.erase(reader->stream());
    driver_->session().reset(reader->stream(), {Code::kUnknownJob, "it was never begun", {}});
  }
}

// Whether it is there still, for those who look at the job.
void Session::tell_output(wire::RequestId id, const AttemptKey& key) {
  book_->open(key,
              [id, driver = driver_](const std::shared_ptr<LocalJob>& job, const Error& error) {
                if (!job)
                  driver->session().respond(id, std::unexpected(error));
                else if (wire::Map why = job->given_up_map(); why.is_null())
                  driver->session().respond(id, wire::Map::object());
                else
                  driver->session().respond(id, wire::Map{{"given_up", std::move(why)}});
                driver->flush_soon();
              });
}

void Session::answer_request(wire::RequestId id, const std::string& verb, const wire::Map& args) {
  if (verb.starts_with("schedule."))
    return driver_->session().respond(id, schedules_->answer(verb, args));
  auto key = attempt_key(args);
  if (!key) return driver_->session().respond(id, std::unexpected(key.error()));
  if (verb == "job.remove") {
    book_->remove(*key);
    return driver_->session().respond(id, wire::Map::object());
  }
  if (verb == "job.read") {
    return book_->was_read(*key, [id, driver = driver_](const auto&, const Error&) {
      driver->session().respond(id, wire::Map::object());
      driver->flush_soon();
    });
  }
  if (verb == "job.client_ended") return client_ended(id, *key);
  if (verb == "job.output") return tell_output(id, *key);
  if (verb != "job.stop")
    return driver_->session().respond(id, fail(Code::kProtocol, "unknown verb"));
  // A request overtakes data: the spec of a start that was sent before may still be on its way. An
  // earlier start of the same job may be known to the book all the same.
  forget_start(*key);
  book_->open(*key, [id, grace = grace_of(args), driver = driver_](
                        const std::shared_ptr<LocalJob>& job, const Error& error) {
    if (!job) {
      driver->session().respond(id, std::unexpected(error));
    } else {
      job->send(job::link::Stop{grace});
      driver->session().respond(id, wire::Map{{"ended", job->ended()}});
    }
    driver->flush_soon();
  });
}

// Said for a client that cannot say it. A start that is under way may still be without its spec.
void Session::client_ended(wire::RequestId id, const AttemptKey& key) {
  for (const auto& [stream, starting] : starting_) {
    if (starting.start.key != key) continue;
    early_[key].client_ended = true;
    return driver_->session().respond(id, wire::Map::object());
  }
  book_->open(key,
              [id, driver = driver_](const std::shared_ptr<LocalJob>& job, const Error& error) {
                if (job) {
                  job->client_ended();
                  driver->session().respond(id, wire::Map::object());
                } else {
                  driver->session().respond(id, std::unexpected(error));
                }
                driver->flush_soon();
              });
}

}  // namespace rexec::agent
