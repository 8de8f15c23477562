// See recovery.hpp.
#include "src/store/file/recovery.hpp"

#include <algorithm>

#include "src/store/audit/audit.hpp"
#include "src/store/tables/certificates.hpp"
#include "src/store/tables/jobs.hpp"
#include "src/store/tables/nodes.hpp"
#include "src/store/tables/removed_jobs.hpp"
#include "src/store/tables/removed_keys.hpp"
#include "src/store/tables/schedules.hpp"
#include "src/store/tables/tokens.hpp"
#include "src/store/tables/users.hpp"

namespace rexec::store {
namespace {

constexpr const char* kActor = "local";
constexpr const char* kWhy = ", as in the former database";

void void_tokens(Database& copy, Recovery& out, WallTime now) {
  for (const TokenRow& token : load_tokens(copy)) {
    if (!token.spent_by.empty() || token.revoked || token.expires <= now) continue;
    revoke_token(copy, token.id, now);
    append_audit(copy, now,
                 {kActor, "token.revoke", "token/" + token.id, "open when a copy was restored"});
    ++out.tokens_voided;
  }
}

bool is_last_admin(Database& copy, const UserRow& user) {
  if (user.role != UserRole::kAdmin) return false;
  return std::ranges::count_if(load_users(copy), [](const UserRow& other) {
           return other.role == UserRole::kAdmin && !other.revoked;
         }) == 1;
}

void revoke_users(Database& copy, Database& former, Recovery& out, WallTime now) {
  for (const UserRow& user : load_users(former)) {
    const auto there = find_user(copy, user.id);
    if (!there && !user.revoked) out.users_unknown.push_back(user.name);
    if (!there || there->revoked || !user.revoked) continue;
    if (is_last_admin(copy, *there)) {
      out.users_kept.push_back(there->name);
      continue;
    }
    revoke_user(copy, user.id, now);
    append_audit(copy, now, {kActor, "user.revoke", "user/" + user.id.text, there->name + kWhy});
    out.users_revoked.push_back(there->name);
  }
}

void remove_nodes(Database& copy, Database& former, Recovery& out, WallTime now) {
  for (const NodeRow& node : load_nodes(former)) {
    const auto there = find_node(copy, node.id);
    if (!there && !node.removed) out.nodes_unknown.push_back(node.name);
    if (!there || there->removed || !node.removed) continue;
    remove_node(copy, node.id, now);
    append_audit(copy, now, {kActor, "node.rm", "node/" + node.id.text, there->name + kWhy});
    out.nodes_removed.push_back(there->name);
  }
}

void revoke_certificates(Database& copy, Database& former, WallTime now) {
  for (const CertificateRow& one : load_certificates(former))
    if (one.revoked && one.role == pki::Role::kNode && find_certificate(copy, one.serial))
      revoke_certificate(copy, one.serial, now);
}

// Also of jobs that began since: a node may have a record of one.
void remove_jobs(Database& copy, Database& former, Recovery& out, WallTime now) {
  for (const RemovedJob& job : load_removed_jobs(former)) {
    if (was_job_removed(copy, job.id)) continue;
    put_removed_job(copy, job);
    if (!find_job(copy, job.id)) continue;
    remove_job_but_key(copy, job.id, job.removed);
    append_audit(copy, now,
                 {kActor, "job.rm", "job/" + job.id.text, std::string("removed") + kWhy});
    ++out.jobs_removed;
  }
  for (const RemovedKey& key : list_removed_keys(former))
    if (!find_removed_key(copy, key.owner, key.request)) put_removed_key(copy, key);
}

// They were left out on purpose or by mistake: who knows is told.
void list_schedules(Database& copy, Database& former, Recovery& out) {
  const auto were = load_schedules(former);
  for (const ScheduleRow& row : load_schedules(copy)) {
    const auto same = std::ranges::find(were, row.id, &ScheduleRow::id);
    const bool is_off = same == were.end() || same->state == ScheduleState::kPaused;
    if (is_off && row.state == ScheduleState::kActive) out.schedules_back.push_back(row.name);
  }
}

// Whether the former database has all that the copy has: an older one, or one that went another
// way, may not know of a later revocation, but what it does know counts.
bool goes_on_from(Database& former, const AuditRow& head) {
  const auto same = load_audit(former, head.seq - 1, 1);
  return !same.empty() && same[0].seq == head.seq && same[0].hash == head.hash;
}

}  // namespace

Recovery recover(Database& copy, Database* former, const std::string& source, WallTime now) {
  Recovery out;
  const auto newest = load_audit_tail(copy, 1);
  if (!newest.empty()) out.copied = newest[0].wall;
  append_audit(copy, now, {kActor, "controller.restore", "file/" + source, ""});
  void_tokens(copy, out, now);
  if (former != nullptr) {
    out.has_former = newest.empty() || goes_on_from(*former, newest[0]);
    remove_nodes(copy, *former, out, now);
    revoke_users(copy, *former, out, now);
    revoke_certificates(copy, *former, now);
    remove_jobs(copy, *former, out, now);
    if (out.has_former) list_schedules(copy, *former, out);
  }
  out.jobs_unfinished = load_unfinished_jobs(copy).size();
  return out;
}

}  // namespace rexec::store
