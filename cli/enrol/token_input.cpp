#include "cli/enrol/token_input.hpp"

#include <unistd.h>

#include <cstdlib>

#include "src/base/file.hpp"

namespace rexec::cli {
namespace {

std::string read_stdin() {
  std::string text;
  char part[1024];
  while (text.size() < pki::kMaxToken) {
    const ssize_t n = ::read(STDIN_FILENO, part, sizeof part);
    if (n <= 0) break;
    text.append(part, static_cast<std::size_t>(n));
  }
  return text;
}

Result<std::string> read_named(const std::string& who, const std::string& path) {
  Result<std::string> text = read_file(path, pki::kMaxToken);
  if (text) return text;
  return fail(text.error().code, who + ": " + text.error().message,
              "name the file that holds the token, or give it as - on stdin");
}

Result<std::string> find_text(const Args& args) {
  const std::string word = args.word(0);
  if (args.has(kTokenFileFlag.name)) {
    if (!word.empty())
      return fail(Code::kUsage, "--token-file and the word TOKEN both give the token: give one");
    const std::string path = args.value(kTokenFileFlag.name);
    return path == "-" ? read_stdin() : read_named("--token-file", path);
  }
  if (word == "-") return read_stdin();
  if (!word.empty()) return word;
  const char* path = std::getenv("REXEC_TOKEN_FILE");
  if (path != nullptr && *path != '\0') return read_named("REXEC_TOKEN_FILE", path);
  return fail(Code::kUsage, "which token?",
              "give it as - on stdin, in a file with --token-file FILE or REXEC_TOKEN_FILE, or as "
              "the word rx1_…");
}

}  // namespace

Result<TokenInput> read_token(const Args& args, pki::TokenKind kind) {
  Result<std::string> text = find_text(args);
  if (!text) return std::unexpected(text.error());
  Result<pki::JoinToken> token = pki::parse_token(*text);
  if (!token) return std::unexpected(token.error());
  if (token->kind == kind) return TokenInput{std::move(*text), std::move(*token)};
  if (kind == pki::TokenKind::kUser) {
    return fail(Code::kUsage, "this token is for a node, not for a person",
                "on the node: rexec join rx1_…\nfor a person: rexec token new --user NAME");
  }
  return fail(Code::kUsage, "this token is for a person, not for a node",
              "sign in with it: rexec login rx1_…\nfor a node: rexec token new --node NAME");
}

}  // namespace rexec::cli
