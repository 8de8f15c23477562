// Where join and login get their token from: the word, "-" for stdin, or the file that
// REXEC_TOKEN_FILE names, so that a script needs no secret on a command line.
#pragma once

#include "cli/flags.hpp"
#include "src/pki/token.hpp"

namespace rexec::cli {

struct TokenInput {
  std::string text;
  pki::JoinToken token;
};
// kTokenBad before anything is dialled, kUsage when there is none, or one of the other kind.
Result<TokenInput> read_token(const Args& args, pki::TokenKind kind);

}  // namespace rexec::cli
