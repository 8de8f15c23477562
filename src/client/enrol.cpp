#include "src/client/enrol.hpp"

#include <unistd.h>

#include "src/base/fail_point.hpp"
#include "src/base/file.hpp"
#include "src/base/version.hpp"
#include "src/client/remote.hpp"
#include "src/pki/csr.hpp"

namespace rexec::client {
namespace {

Result<pki::Key> load_or_make_key(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return pki::Key::load(path);
  pki::Key key = pki::Key::generate();
  const auto slash = path.rfind('/');
  auto made = make_directories(path.substr(0, slash), 0700);
  if (!made) return std::unexpected(made.error());
  auto saved = key.save(path);
  if (!saved) return std::unexpected(saved.error());
  return key;
}

Result<Enrolment> read_answer(const wire::Map& answer, const pki::JoinToken& token,
                              const pki::Key& key) {
  Enrolment out;
  out.kind = token.kind;
  out.addresses = token.addresses;
  for (const auto& [field, into] : {std::pair{"id", &out.id}, std::pair{"name", &out.name},
                                    std::pair{"cluster", &out.cluster}}) {
    auto text = wire::get_text(answer, field);
    if (!text) return std::unexpected(text.error());
    *into = std::move(*text);
  }
  if (wire::bool_or(answer, "already", false)) {
    out.outcome = Enrolment::Outcome::kAlready;
    return out;
  }
  out.credentials = {wire::bin_or(answer, "ca"), wire::bin_or(answer, "certificate"),
                     key.encode(pki::Encoding::kDer)};
  auto ca = pki::parse_certificate(out.credentials.ca);
  if (!ca) return std::unexpected(ca.error());
  auto pinned = pki::check_pin(ca->get(), token.ca_pin);
  if (!pinned) return std::unexpected(pinned.error());
  auto leaf = pki::parse_certificate(out.credentials.certificate);
  if (!leaf) return std::unexpected(leaf.error());
  auto identity = pki::verify_leaf(leaf->get(), ca->get(), wall_now());
  if (!identity) return std::unexpected(identity.error());
  return out;
}

net::Task<Result<Enrolment>> talk(const EnrolOptions& options, const pki::JoinToken& token,
                                  const pki::Key& key, Remote& remote) {
  auto tls = net::TlsContext::stranger(std::string(as_text(token.ca_pin)));
  if (!tls) co_return std::unexpected(tls.error());
  net::DialOptions dial_options{token.addresses, options.timeout, {}};
  auto transport = co_await net::dial(*tls, std::move(dial_options));
  if (!transport) co_return std::unexpected(transport.error());
  const std::string exporter = (*transport)->enrol_exporter();
  auto csr = pki::make_csr(key);
  if (!csr) co_return std::unexpected(csr.error());
  const pki::Digest proof = pki::enrol_proof(token.secret, as_bytes(exporter), as_bytes(*csr));
  wire::Map labels = wire::Map::object();
  for (const auto& [label, value] : options.labels) labels[label] = value;
  remote.start(std::move(*transport),
               {{"role", "enrol"}, {"software", std::string(build_version().version)}});
  wire::Map args{
      {"token_id", token.id}, {"csr", wire::bin(*csr)},      {"proof", wire::bin(as_text(proof))},
      {"name", options.name}, {"labels", std::move(labels)}, {"run_as", options.run_as},
      {"host", options.host}};
  if (!options.certificate.empty()) args["certificate"] = wire::bin(options.certificate);
  auto answer = co_await remote.call("enrol", std::move(args));
  remote.close({Code::kLinkLost, "done", {}});
  if (!answer) co_return std::unexpected(answer.error());
  fail_point(FailPoint::kClientJoinAnswered);
  co_return read_answer(*answer, token, key);
}

}  // namespace

Result<Enrolment> enrol(const EnrolOptions& options) {
  auto token = pki::parse_token(options.token);
  if (!token) return std::unexpected(token.error());
  auto key = load_or_make_key(options.key_file);
  if (!key) return std::unexpected(key.error());
  asio::io_context context(1);
  Result<Enrolment> result = fail(Code::kInternal, "no answer");
  {
    Remote remote(context.get_executor());
    const auto work = [&]() -> net::Task<> {
      result = co_await talk(options, *token, *key, remote);
      context.stop();
    };
    net::spawn(context.get_executor(), work());
    context.run();
  }
  return result;
}

}  // namespace rexec::client
