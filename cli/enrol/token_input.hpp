// Where join and login get their token from: the word, "-" for stdin, or the file that --token-file
// or REXEC_TOKEN_FILE names, so that a script needs no secret on a command line. A word is hidden
// from /proc as soon as the program runs (main).
#pragma once

#include "cli/line/flags.hpp"
#include "src/pki/token.hpp"

namespace rexec::cli {

inline constexpr Flag kTokenFileFlag{.name = "token-file",
                                     .value = "FILE",
                                     .help = "the token is in FILE (-: stdin)",
                                     .choices = "@file"};

struct TokenInput {
  std::string text;
  pki::JoinToken token;
};
// kTokenBad before anything is dialled, kUsage when there is none, or one of the other kind.
Result<TokenInput> read_token(const Args& args, pki::TokenKind kind);

}  // namespace rexec::cli
