// The session of a stranger: one request, `enrol`, and nothing else. The token's proof is checked
// here, spending it is one transaction of the store; each refusal says the least that helps. Who
// shows a node's certificate that is still good keeps it, and the token is not spent.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/controller/state/hub.hpp"
#include "src/net/listener.hpp"
#include "src/net/session_driver.hpp"
#include "src/store/tables/enrolment.hpp"

namespace rexec::controller {

class EnrolSession final : public net::SessionHandler,
                           public std::enable_shared_from_this<EnrolSession> {
 public:
  static void accept(Hub& hub, net::Arrival arrival);
  void on_event(wire::Event event) override;

 private:
  EnrolSession(Hub& hub, std::string source, std::string exporter);
  void enrol(wire::RequestId id, const wire::Map& args);
  // The live node whose certificate the stranger shows, if any.
  std::optional<store::Enrolled> shown_node(const wire::Map& args);
  void remember(wire::RequestId id, const store::Enrolled& done);
  void answer(wire::RequestId id, const Result<wire::Map>& result);

  Hub& hub_;
  std::string source_;
  std::string exporter_;
  std::shared_ptr<net::SessionDriver> driver_;
  std::shared_ptr<EnrolSession> self_;
  bool asked_ = false;
};

}  // namespace rexec::controller
