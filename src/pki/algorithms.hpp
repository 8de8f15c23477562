// The few algorithms that rexec uses, as a provider of libcrypto's. The stock provider has some
// 300; the first use of any cipher builds all of its ciphers, the first key parsed all decoders,
// which together is a third of what a cold client computes, and each of them can be reached by a
// certificate or a hello that a stranger sends. This one is the stock provider with the rest left
// out. Only prepare_openssl() calls it.
#pragma once

namespace rexec::pki {

// In place of the stock provider, for the whole process. Where libcrypto does not lend its own (a
// build against the shared library), or says no, everything stays as it was and works alike.
void use_few_algorithms();

}  // namespace rexec::pki
