// The one place that includes Asio, so that what is experimental in 1.22 is named here and nowhere
// else.
#pragma once

// <netdb.h>, which Asio includes, declares the old rexec(3): under another name it leaves ours to
// the namespace.
#define rexec rexec_of_netdb
#include <netdb.h>
#undef rexec

// clang-format off
// Before Asio, which decides by libstdc++'s own macros how it allocates: every unit must decide
// alike, or one frees what another has allocated otherwise.
#include <cstdlib>
// clang-format on

#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/buffer.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
