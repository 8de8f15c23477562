// What a daemon that speaks to the network gives up: root, capabilities, new privileges, being
// looked into. Used by both daemons in the same way; it decides nothing about jobs.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>

#include "src/base/error.hpp"
#include "src/os/users.hpp"

namespace rexec::os {

// The account such a process of this data directory runs as when it is started as root: `rexec`
// (users.hpp), else the directory's owner; nullopt when there is neither, or without root.
std::optional<User> daemon_account(const std::string& data_dir);
// Makes the account the owner of that directory and of the plain files and directories below it,
// except where it is already. Nothing is followed: not a link, not a second name of a file.
Result<void> give_directory(const std::string& path, const User& user);
// Whether the account may pass all directories above that path. Asked as root; changes nothing.
bool can_reach(const User& user, const std::string& path);

// No program that this process executes has a capability, whoever it is. Without root nothing
// happens.
void empty_bounding_set();
// Of the calling thread, for good; the process has no other. The functions of glibc wait for the
// other threads, and in a child of fork_process for those of its parent. Null, or the call that
// failed, with errno.
const char* set_ids(uid_t uid, gid_t gid, std::span<const gid_t> groups);
enum class Keep { kNothing, kLowPorts };
// For good, and without a capability. With kLowPorts it may still bind a port below 1024, until
// drop_capabilities().
Result<void> become(const User& user, Keep keep);
// Whoever this process is, root too: from here on its uid is all it has, and what is kept.
void drop_capabilities(Keep keep = Keep::kNothing);

// No secret of this process gets into a core file, and no other process of its user looks into it.
void hide_memory();
// For a daemon: hide_memory(), no_new_privs, no core file, no SIGPIPE; and no SIGHUP, because it
// outlives the terminal it was started in and reads its files at its start alone.
void harden();

}  // namespace rexec::os
