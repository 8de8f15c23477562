#include "src/controller/verbs/submit.hpp"

#include <algorithm>
#include <unordered_set>

#include "src/base/cut_text.hpp"
#include "src/base/text.hpp"
#include "src/job/spec/spec.hpp"
#include "src/pki/digest.hpp"

namespace rexec::controller {

namespace {

constexpr std::size_t kMostSummary = 200;

}  // namespace

std::string summary_of(const job::JobSpec& spec) {
  std::string out = spec.script ? "(script)" : "";
  for (const auto& word : spec.argv) {
    out += (out.empty() ? "" : " ") + printable(word);
    if (out.size() > kMostSummary) break;
  }
  out.resize(cut_text(out, kMostSummary).size());
  return out;
}

namespace {

RunId derive_run_id(const Submit& submit) {
  const auto digest =
      pki::sha256({as_bytes("rexec run"), as_bytes(submit.owner.text), as_bytes(submit.request)});
  return {"r-" + to_base32({digest.data(), 8}).substr(0, 12)};
}

Error offline(const Node& node) {
  return {Code::kNodeOffline,
          "node \"" + node.name + "\" is offline" +
              (node.last_seen == WallTime{} ? "" : ", last seen " + to_iso8601(node.last_seen)),
          "see: rexec node ls\nlet the job wait for it: rexec run --wait-online " + node.name};
}

std::unexpected<Error> in_part(const Submit& submit, const Part& part, Error error) {
  if (submit.kind == Kind::kDag) error.message = "[" + printable(part.name) + "] " + error.message;
  return std::unexpected(std::move(error));
}

bool same_terms(const Job& job, const PartPlan& part) {
  if (job.terms == nullptr || part.terms == nullptr) return job.terms == part.terms;
  return *job.terms == *part.terms;
}

// A key is for one set of nodes: on another node it would start a second job. Growing is allowed (a
// label got a node more), and what ran on a node that was removed is no reason to refuse.
Result<void> check_same(Hub& hub, const UserId& owner, const PartPlan& part) {
  const auto known = hub.jobs().of_request(owner, part.request);
  std::unordered_set<NodeId> nodes;
  if (!known.empty())
    for (const Node* node : part.nodes) nodes.insert(node->id);
  for (const Job* job : known) {
    const bool here = nodes.contains(job->node);
    if (!here && hub.registry().find(job->node) != nullptr)
      return fail(Code::kConflict,
                  "this request id was used for another target (job " + job->key.job.text +
                      " on node \"" + job->node_name + "\")",
                  "use another --idempotency-key");
    // One that was adopted from its node has no hash yet.
    if (here && !job->spec_hash.empty() && job->spec_hash != part.spec_hash)
      return fail(Code::kConflict,
                  "this request id was used for another command (job " + job->key.job.text + ")",
                  "use another --idempotency-key");
    if (here && !job->is_final() && !job->spec_hash.empty() && !same_terms(*job, part))
      return fail(Code::kConflict,
                  "this request id was used with other locks or another --after, --queue-timeout "
                  "or --wait-online (job " +
                      job->key.job.text + ")",
                  "use another --idempotency-key");
  }
  return {};
}

// Its jobs were made together: one that is known beside one that is not came into the file later.
Result<void> check_whole(Hub& hub, const Plan& plan) {
  const PartPlan* known = nullptr;
  const PartPlan* unknown = nullptr;
  for (const PartPlan& part : plan.parts)
    (hub.jobs().of_request(plan.owner, part.request).empty() ? unknown : known) = &part;
  if (known == nullptr || unknown == nullptr) return {};
  return fail(Code::kConflict,
              "this request id was used for another DAG: [" + printable(known->name) +
                  "] has its job, [" + printable(unknown->name) + "] has none",
              "use another --idempotency-key");
}

Result<void> check_online(Hub& hub, const Submit& submit, const PartPlan& part) {
  if (part.nodes.size() > 1 || part.nodes.front()->link != nullptr) return {};
  if (part.terms && part.terms->waits_for_node()) return {};
  const JobId id = derive_job_id(submit.owner, part.request, part.nodes.front()->id);
  if (hub.jobs().find(id) != nullptr) return {};
  return std::unexpected(offline(*part.nodes.front()));
}

// Its own terms, and the jobs of the parts that it comes after.
// In a DAG a root waits for its node as the others do.
std::shared_ptr<const Terms> terms_of(const Plan& plan, const Part& part, Kind kind) {
  Terms terms = part.terms;
  terms.patient = kind == Kind::kDag;
  for (const PartDependency& one : part.after) {
    const PartPlan& other = plan.parts.at(one.part);
    const bool is_one_of_many = one.when == After::kFail && other.nodes.size() > 1;
    const auto group = static_cast<std::uint32_t>(is_one_of_many ? one.part + 1 : 0);
    for (const Node* node : other.nodes)
      terms.after.push_back({derive_job_id(plan.owner, other.request, node->id), one.when, group});
  }
  return terms.any() ? std::make_shared<const Terms>(std::move(terms)) : nullptr;
}

// What a dependency of one job on another takes is little, but those of a DAG are products: of the
// nodes of one part with those of the next.
constexpr std::size_t kMostArrows = 1'000'000;
constexpr std::size_t kArrowBytes = 100;

// For each job of a part.
std::size_t arrows_to(const Plan& plan, const Part& part) {
  std::size_t count = part.terms.after.size();
  for (const PartDependency& one : part.after) count += plan.parts.at(one.part).nodes.size();
  return count;
}

Result<void> check_arrows(const Part& part, std::size_t each, std::size_t nodes,
                          std::size_t before) {
  if (each > kMostStoredDependencies)
    return fail(Code::kLimit,
                "[" + printable(part.name) + "] is after " + std::to_string(each) +
                    " jobs, the limit is " + std::to_string(kMostStoredDependencies),
                "let it come after a job on one node that comes after these");
  if (before + each * nodes <= kMostArrows) return {};
  return fail(Code::kLimit,
              "each job of a part waits for each job of those it names: with [" +
                  printable(part.name) + "] that makes more than " + std::to_string(kMostArrows) +
                  " waits",
              "let the parts meet in a job on one node");
}

// Until the last of its jobs has ended. What an earlier try made has its share.
Result<void> keep_on_disk(Hub& hub, const Submit& submit, PartPlan& part) {
  const auto is_new = [&](const Node* node) {
    return hub.jobs().find(derive_job_id(submit.owner, part.request, node->id)) == nullptr;
  };
  if (std::ranges::none_of(part.nodes, is_new)) return {};
  auto share = hub.budget().take(submit.owner, Resource::kKeptSpecs, part.spec->size());
  if (!share) return std::unexpected(share.error());
  part.kept_spec = std::make_shared<const Share>(std::move(*share));
  return {};
}

Result<PartPlan> plan_part(Hub& hub, const Submit& submit, const Plan& plan, const Part& part,
                           std::size_t& arrows) {
  auto spec = job::decode_spec(as_bytes(part.spec));
  if (!spec) return in_part(submit, part, spec.error());
  auto nodes = hub.registry().select(part.targets);
  if (!nodes) return in_part(submit, part, nodes.error());
  // Before they are made: a product of a thousand by a thousand is work for everybody.
  const std::size_t each = arrows_to(plan, part);
  if (auto few = check_arrows(part, each, nodes->size(), arrows); !few)
    return std::unexpected(few.error());
  arrows += each * nodes->size();
  auto terms = terms_of(plan, part, submit.kind);
  const std::size_t beside = terms ? kArrowBytes * terms->after.size() * nodes->size() : 0;
  auto kept = hub.keep_spec(submit.owner, part.spec, Hub::Keeping::kTake, beside);
  if (!kept) return in_part(submit, part, kept.error());
  PartPlan out{
      request_of(submit, part), part.name,         part.targets,
      std::move(*nodes),        summary_of(*spec), to_hex(pki::sha256(as_bytes(part.spec))),
      std::move(*kept),         std::move(terms),  {}};
  if (auto room = keep_on_disk(hub, submit, out); !room) return in_part(submit, part, room.error());
  if (auto same = check_same(hub, submit.owner, out); !same)
    return in_part(submit, part, same.error());
  // The jobs of a DAG are there to wait.
  if (submit.kind == Kind::kPlain)
    if (auto online = check_online(hub, submit, out); !online)
      return std::unexpected(online.error());
  return out;
}

}  // namespace

std::string request_of(const Submit& submit, const Part& part) {
  if (submit.kind == Kind::kPlain) return submit.request;
  const auto digest =
      pki::sha256({as_bytes("rexec dag"), as_bytes(submit.request), as_bytes(part.name)});
  return to_hex(ByteSpan(digest).first(16));
}

Result<Plan> make_plan(Hub& hub, const Submit& submit) {
  Plan plan{submit.owner,    submit.owner_name,  {}, submit.is_detached,
            submit.is_keyed, submit.is_detached, {}, submit.endings};
  std::size_t arrows = 0;
  for (const Part& part : submit.parts) {
    auto planned = plan_part(hub, submit, plan, part, arrows);
    if (!planned) return std::unexpected(planned.error());
    plan.is_durable = plan.is_durable || planned->terms != nullptr;
    plan.parts.push_back(std::move(*planned));
  }
  if (auto whole = check_whole(hub, plan); !whole) return std::unexpected(whole.error());
  if (submit.kind == Kind::kDag || plan.parts.front().nodes.size() > 1)
    plan.run = derive_run_id(submit);
  return plan;
}

}  // namespace rexec::controller
