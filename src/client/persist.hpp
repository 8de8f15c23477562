// The kept connection: a small background process that holds authenticated TLS connections to one
// context's controller ready, and lends each to one client over a Unix socket, so that a command
// pays no handshake. It copies bytes and reads none: what a client may do is decided by the
// controller, as ever. As ControlPersist does it, it goes after ten idle minutes.
#pragma once

#include <memory>
#include <string>

#include "src/client/connect.hpp"

namespace rexec::client {

// What a client says first to the keeper.
inline constexpr char kBorrow = 'B';
inline constexpr char kQuit = 'Q';

// True when this context keeps its connection here and now: on, or auto at a terminal outside of
// CI.
bool persist_wanted(const ContextEntry& context);
// A connection lent by the keeper, or nullptr at once when there is none.
net::Task<std::unique_ptr<net::Transport>> borrow(std::string context_directory);
// Starts the keeper in the background; nothing happens when there is one already.
void start_keeper(const ConnectOptions& options);
// Tells the keeper to go.
void stop_keeper(const std::string& context_directory);
// `rexec __persist`: the keeper itself, until it was idle for `idle`. The exit status.
int run_keeper(const ConnectOptions& options, Millis idle = Millis{600'000});

}  // namespace rexec::client
