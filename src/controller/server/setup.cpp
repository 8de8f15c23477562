#include "src/controller/server/setup.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/base/config.hpp"
#include "src/base/file.hpp"
#include "src/base/ids.hpp"
#include "src/base/text.hpp"
#include "src/controller/server/account.hpp"
#include "src/controller/server/server.hpp"
#include "src/net/address.hpp"
#include "src/pki/csr.hpp"
#include "src/pki/renew.hpp"
#include "src/pki/token.hpp"
#include "src/store/engine/store.hpp"

namespace rexec::controller {
namespace {

bool can_bind(const std::string& host, std::uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  sockaddr_storage address{};
  socklen_t size = 0;
  if (v6) {
    auto* a = reinterpret_cast<sockaddr_in6*>(&address);
    a->sin6_family = AF_INET6;
    a->sin6_port = htons(port);
    if (::inet_pton(AF_INET6, host.c_str(), &a->sin6_addr) != 1) return false;
    size = sizeof *a;
  } else {
    auto* a = reinterpret_cast<sockaddr_in*>(&address);
    a->sin_family = AF_INET;
    a->sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &a->sin_addr) != 1) return false;
    size = sizeof *a;
  }
  const int fd = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool ok =
      ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(fd, 1) == 0;
  ::close(fd);
  return ok;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

// What others dial: the listen address, or this host's name when it listens everywhere.
std::vector<std::string> derive_addresses(const std::string& host, std::uint16_t port) {
  const std::string tail = ":" + std::to_string(port);
  if (host == "0.0.0.0" || host == "::") return {host_name() + tail, "127.0.0.1" + tail};
  return {(host.find(':') == std::string::npos ? host : "[" + host + "]") + tail};
}

Result<ServerConfig> plan_config(const InitOptions& options) {
  ServerConfig config;
  config.cluster =
      options.cluster.empty() ? "rexec-" + random_id('x').substr(2, 4) : options.cluster;
  auto good = check_name("cluster", config.cluster);
  if (!good) return std::unexpected(good.error());
  auto parts = net::split_address(options.listen);
  if (!parts) return std::unexpected(parts.error());
  if (parts->second == 512)
    return fail(Code::kUsage, "port 512 belongs to the old rexecd and is never used",
                "choose another port");
  if (parts->second == 0) {
    auto port = free_port(parts->first);
    if (!port) return std::unexpected(port.error());
    parts->second = *port;
  }
  const std::string host =
      parts->first.find(':') == std::string::npos ? parts->first : "[" + parts->first + "]";
  config.listen = host + ":" + std::to_string(parts->second);
  config.addresses =
      options.advertise.empty() ? derive_addresses(parts->first, parts->second) : options.advertise;
  for (const auto& address : config.addresses) {
    auto usable = pki::check_address(address);
    if (!usable) return std::unexpected(usable.error());
  }
  return config;
}

// An init that was killed may have left one. Nobody has a certificate of it yet, so it serves; to
// make another over it would be the end of a cluster whose controller.toml got lost.
Result<pki::Authority> make_authority(const InitOptions& options, const std::string& cluster) {
  if (::access((options.data_dir + "/ca.crt").c_str(), F_OK) != 0)
    return pki::Authority::create(options.data_dir, cluster, wall_now());
  auto left = pki::Authority::load(options.data_dir);
  if (left && !options.cluster.empty() && left->cluster() != options.cluster)
    return fail(Code::kConflict,
                options.data_dir + " has the CA of the cluster \"" + left->cluster() + "\" already",
                "choose another --data, or that name");
  return left;
}

store::TokenRow token_row(pki::TokenKind kind) {
  store::TokenRow row;
  row.id = random_id('t');
  row.kind = kind;
  row.created_by = "controller init";
  row.created = wall_now();
  row.expires = row.created + std::chrono::minutes(30);
  return row;
}

Result<void> fill_store(const InitOptions& options, const pki::Authority& authority,
                        const ServerConfig& config, InitResult& out) {
  auto store = store::Store::open({options.data_dir, store::OpenMode::kCreate});
  if (!store) return std::unexpected(store.error());
  const auto before = (*store)->load_all();
  if (!before) return std::unexpected(before.error());
  if (!before->users.empty())
    return fail(Code::kConflict,
                options.data_dir + " holds a controller's state, but no controller.toml",
                "put that file back; or, if an init was interrupted just now: rm -r " +
                    shell_quoted(options.data_dir));
  const store::UserRow admin{
      {random_id('u')}, options.admin, store::UserRole::kAdmin, wall_now(), {}};
  const pki::Key key = pki::Key::generate();
  auto issued =
      authority.issue(key.get(), {pki::Role::kUser, admin.id.text, wall_now(), pki::kUserLifetime});
  if (!issued) return std::unexpected(issued.error());
  const auto node_token = token_row(pki::TokenKind::kNode);
  auto written = (*store)->run_now([&](store::Database& db) {
    store::insert_user(db, admin);
    store::insert_certificate(db, store::certificate_row(*issued, wall_now()));
    store::insert_token(db, node_token);
    store::append_audit(db, wall_now(),
                        {"controller", "controller.init", "cluster/" + config.cluster,
                         "first admin " + options.admin});
  });
  if (!written) return written;
  auto node_text = pki::encode_token(
      {node_token.kind, config.addresses, authority.pin(), node_token.id, node_token.secret});
  if (!node_text) return fail(Code::kInternal, "a token could not be written");
  out.node_token = *node_text;
  out.admin_id = admin.id.text;
  out.admin_certificate = issued->der;
  out.admin_key = key.encode(pki::Encoding::kDer);
  return {};
}

}  // namespace

Result<std::uint16_t> free_port(const std::string& host) {
  for (int attempt = 0; attempt < 200; ++attempt) {
    std::uint16_t random = 0;
    random_bytes({reinterpret_cast<std::uint8_t*>(&random), sizeof random});
    const auto port = static_cast<std::uint16_t>(20'000 + random % 12'000);
    if (can_bind(host, port)) return port;
  }
  return fail(Code::kIo, "no free port on " + host, "name one: --listen HOST:PORT");
}

// A few jobs have room in it; below it somebody forgot the unit.
constexpr std::uint64_t kLeastKept = 16 << 10;

Result<ServerConfig> load_server_config(const std::string& data_dir) {
  const std::string path = data_dir + "/controller.toml";
  auto map = read_config(path);
  if (!map) {
    if (map.error().code == Code::kIo)
      return fail(Code::kConfig, map.error().message,
                  "set it up first: rexec controller init --data " + shell_quoted(data_dir));
    return std::unexpected(map.error());
  }
  auto keys = check_keys(*map, path, {"cluster", "listen", "addresses", "keep_jobs", "keep_bytes"});
  if (!keys) return std::unexpected(keys.error());
  ServerConfig config;
  for (const auto& [key, into] :
       {std::pair{"cluster", &config.cluster}, std::pair{"listen", &config.listen}}) {
    auto text = text_under(*map, key, path);
    if (!text) return std::unexpected(text.error());
    if (*text) *into = std::move(**text);
  }
  auto list = list_under(*map, "addresses", path);
  if (!list) return std::unexpected(list.error());
  config.addresses = std::move(*list).value_or(config.addresses);
  const auto jobs = duration_under(*map, "keep_jobs", path);
  const auto bytes = size_under(*map, "keep_bytes", path, kLeastKept);
  if (!jobs) return std::unexpected(jobs.error());
  if (!bytes) return std::unexpected(bytes.error());
  config.keep_jobs = jobs->value_or(config.keep_jobs);
  config.keep_bytes = *bytes;
  if (config.cluster.empty() || config.listen.empty() || config.addresses.empty())
    return fail(Code::kConfig, path + ": cluster, listen or addresses is missing",
                "write all three, such as listen = \"0.0.0.0:7443\" and addresses = "
                "[\"HOST:7443\"]");
  return config;
}

Result<void> save_server_config(const std::string& data_dir, const ServerConfig& config) {
  std::string list;
  for (const auto& address : config.addresses)
    list += (list.empty() ? "" : ", ") + toml_quote(address);
  return write_file(data_dir + "/controller.toml",
                    "# written by rexec controller init; see rexec-controller(1)\ncluster = " +
                        toml_quote(config.cluster) + "\nlisten = " + toml_quote(config.listen) +
                        "\n# what tokens tell nodes and people to dial\naddresses = [" + list +
                        "]\n",
                    0600);
}

Result<net::Credentials> own_credentials(const std::string& data_dir,
                                         const pki::Authority& authority) {
  const std::string key_path = data_dir + "/controller.key";
  const std::string certificate_path = data_dir + "/controller.crt";
  net::Credentials out;
  out.ca = pki::encode_certificate(authority.certificate());
  auto key = pki::Key::load(key_path);
  auto certificate = pki::load_certificate(certificate_path);
  if (!key && key.error().code == Code::kKeyExposed) return std::unexpected(key.error());
  if (key && certificate) {
    auto identity = pki::parse_identity(certificate->get());
    if (identity && wall_now() < pki::renew_at(*identity, 0.5)) {
      out.key = key->encode(pki::Encoding::kDer);
      out.certificate = pki::encode_certificate(certificate->get());
      return out;
    }
  }
  pki::Key fresh = pki::Key::generate();
  auto issued = authority.issue(
      fresh.get(), {pki::Role::kController, random_id('c'), wall_now(), pki::kControllerLifetime});
  if (!issued) return std::unexpected(issued.error());
  auto saved = fresh.save(key_path);
  if (saved) saved = write_file(certificate_path, issued->der, 0644);
  if (!saved) return std::unexpected(saved.error());
  out.key = fresh.encode(pki::Encoding::kDer);
  out.certificate = issued->der;
  return out;
}

Result<InitResult> init(const InitOptions& options) {
  if (::access((options.data_dir + "/controller.toml").c_str(), F_OK) == 0)
    return fail(Code::kConflict, options.data_dir + " is a controller's directory already",
                "start it: rexec controller run --data " + shell_quoted(options.data_dir));
  auto config = plan_config(options);
  if (!config) return std::unexpected(config.error());
  auto made = make_directories(options.data_dir, 0700);
  if (!made) return std::unexpected(made.error());
  auto authority = make_authority(options, config->cluster);
  if (!authority) return std::unexpected(authority.error());
  config->cluster = authority->cluster();
  auto own = own_credentials(options.data_dir, *authority);
  if (!own) return std::unexpected(own.error());
  InitResult out;
  out.cluster = config->cluster;
  out.listen = config->listen;
  out.addresses = config->addresses;
  out.ca = own->ca;
  auto filled = fill_store(options, *authority, *config, out);
  if (!filled) return std::unexpected(filled.error());
  auto saved = save_server_config(options.data_dir,
                                  *config);  // last: its presence says that init is complete
  if (saved) saved = give_to_account(options.data_dir);
  if (!saved) return std::unexpected(saved.error());
  return out;
}

}  // namespace rexec::controller
