// The named places at which a test build may die, wait or fail: X(constant, name, what is true
// there). The first word of a name is the process that passes it. Only names of the constants reach
// the shipped binary's code; the strings are expanded by tests/faulty alone.
#pragma once

// clang-format off
#define REXEC_FAIL_POINTS(X) \
  X(kClientSubmitSent, "client.submit.sent", "the whole submit is in the session's queue") \
  X(kClientAcceptedRead, "client.accepted.read", "accepted came, nobody was told") \
  X(kClientAcceptedTold, "client.accepted.told", "the person may know the job's id") \
  X(kClientAttached, "client.attached", "the job's stream is there and says where it begins") \
  X(kClientStdinSent, "client.stdin.sent", "a piece of stdin is in the session's queue") \
  X(kClientStdinEnded, "client.stdin.ended", "stdin's end is in the session's queue") \
  X(kClientOutputRead, "client.output.read", "output came, nothing of it is written") \
  X(kClientAttachSent, "client.attach.sent", "attaching again after a break") \
  X(kClientEndRead, "client.end.read", "the record came, it is not compared") \
  X(kClientEndTold, "client.end.told", "the outcome is told, the process has not ended") \
  X(kClientJoinAnswered, "client.join.answered", "the certificate came, it is not saved") \
  X(kControllerJoinReceived, "controller.join.received", "an enrolment, nothing is stored") \
  X(kControllerJoinCommitted, "controller.join.committed", "the token is spent, nobody was told") \
  X(kControllerSubmitReceived, "controller.submit.received", "a whole submit, no job is made") \
  X(kControllerSubmitPosted, "controller.submit.posted", \
    "the jobs are in memory and in the store's queue") \
  X(kControllerSubmitCommitted, "controller.submit.committed", \
    "a detached submit is on disk, nothing is sent") \
  X(kControllerStartSent, "controller.start.sent", "a start's stream is open, its spec not sent") \
  X(kControllerSpecSent, "controller.spec.sent", "the whole spec is in the node's session") \
  X(kControllerAcceptedSent, "controller.accepted.sent", "accepted is in the client's session") \
  X(kControllerAttachSent, "controller.attach.sent", "two streams are linked") \
  X(kControllerOutputRelayed, "controller.output.relayed", "a frame has changed sessions") \
  X(kControllerHelloSent, "controller.hello.sent", "a node is greeted, not reconciled") \
  X(kControllerReportReceived, "controller.report.received", "a report, nothing is applied") \
  X(kControllerRunningApplied, "controller.running.applied", "a job runs, in memory") \
  X(kControllerEndApplied, "controller.end.applied", "a job has ended, in memory") \
  X(kControllerEndCommitted, "controller.end.committed", \
    "a job's end is on disk, the node was not told") \
  X(kControllerReportAnswered, "controller.report.answered", \
    "the node may know that its report is kept") \
  X(kControllerReconcileReceived, "controller.reconcile.received", "a page of what a node has") \
  X(kControllerReconcileCommitted, "controller.reconcile.committed", \
    "the page is on disk, the node was not told") \
  X(kControllerReconciled, "controller.reconciled", \
    "the node has told all, nothing is sent to it") \
  X(kControllerAdopted, "controller.adopted", "a job that no row knew is known by its ticket") \
  X(kControllerNodeGone, "controller.node.gone", "a node's session has ended") \
  X(kControllerStopSent, "controller.stop.sent", "a stop is in the node's session") \
  X(kControllerRemoveCommitted, "controller.remove.committed", \
    "a job's row is gone, the node was not told") \
  X(kControllerWaitAdmitted, "controller.wait.admitted", \
    "a job with terms is committed, it waits") \
  X(kControllerSlotPosted, "controller.slot.posted", \
    "a job's turn has come, the store has not heard") \
  X(kControllerSlotCommitted, "controller.slot.committed", \
    "a job is noted as dispatched, its node has not heard of it") \
  X(kControllerWaitRefused, "controller.wait.refused", "a job cannot start any more, in memory") \
  X(kControllerScheduleCommitted, "controller.schedule.committed", \
    "a schedule is on disk, no node is told") \
  X(kControllerScheduleSent, "controller.schedule.sent", "a node's copy is in its session") \
  X(kControllerListening, "controller.listening", "a start is complete") \
  X(kStoreOpened, "store.opened", "the database is open, checked and migrated") \
  X(kStoreMigrated, "store.migrated", "a migration's statements ran, it is not committed") \
  X(kStoreBegun, "store.begun", "a transaction is open") \
  X(kStoreAudited, "store.audited", "an audit row is written in the transaction") \
  X(kStoreOperation, "store.operation", "an operation ran in its savepoint") \
  X(kStoreCommitting, "store.committing", "before COMMIT") \
  X(kStoreCommitted, "store.committed", "after COMMIT, nobody was told") \
  X(kStoreTold, "store.told", "all of the group were told") \
  X(kStoreSync, "store.sync", "errno of a sync of the database's files") \
  X(kStoreWrite, "store.write", "errno of a write to the database's files") \
  X(kStoreBallastReleased, "store.ballast.released", "the disk is full, the ballast is gone") \
  X(kStoreBallastBack, "store.ballast.back", "the ballast is there again") \
  X(kStoreClosing, "store.closing", "before the last checkpoint") \
  X(kNetSynced, "net.synced", "the spawner has told what there is, nothing is dialled") \
  X(kNetReconcileSent, "net.reconcile.sent", "a page of what is here is in the session") \
  X(kNetReconcileAnswered, "net.reconcile.answered", \
    "the controller has the page, the spawner was not told") \
  X(kNetStartOpened, "net.start.opened", "a start was announced, its spec has not come") \
  X(kNetStartReceived, "net.start.received", "a whole start, the spawner does not have it") \
  X(kNetStartHanded, "net.start.handed", "the spawner has the start") \
  X(kNetChannelRead, "net.channel.read", "the spawner's answer to a start or open") \
  X(kNetStartedRead, "net.started.read", "the shim says that the job runs") \
  X(kNetOutputSent, "net.output.sent", "a piece of output is in the session") \
  X(kNetStdinRead, "net.stdin.read", "a piece of stdin came") \
  X(kNetStdinEndRead, "net.stdin.end.read", "stdin's end came") \
  X(kNetEndRead, "net.end.read", "the record came from the shim") \
  X(kNetEndSent, "net.end.sent", "the record is in a reader's stream") \
  X(kNetReportSent, "net.report.sent", "a report is in the session") \
  X(kNetReportAnswered, "net.report.answered", \
    "the controller has the end, the spawner was not told") \
  X(kNetReported, "net.reported", "the spawner was told") \
  X(kNetScheduleTaken, "net.schedule.taken", "a schedule is in memory, not on disk") \
  X(kNetScheduleBegun, "net.schedule.begun", "a firing is on disk as begun, not started") \
  X(kNetScheduleStarted, "net.schedule.started", \
    "the spawner has a firing's job, the disk does not say so") \
  X(kSpawnerScanned, "spawner.scanned", \
    "what the data directory holds is judged, net is not started") \
  X(kSpawnerNetStarted, "spawner.net.started", "net is forked, its socket is watched") \
  X(kSpawnerStartRead, "spawner.start.read", "a start came") \
  X(kSpawnerPlanned, "spawner.planned", "the plan is made, the attempt not claimed") \
  X(kSpawnerClaimed, "spawner.claimed", \
    "the attempt's directory has its name, no shim has an order") \
  X(kSpawnerOrdered, "spawner.ordered", "a shim has the order, net was not told") \
  X(kSpawnerChannelPosted, "spawner.channel.posted", "net was told") \
  X(kSpawnerShimGone, "spawner.shim.gone", "a shim is reaped, nothing is judged") \
  X(kSpawnerAdopted, "spawner.adopted", "a shim of an earlier spawner is watched") \
  X(kSpawnerRestarted, "spawner.restarted", "a job accepted by an earlier spawner is begun") \
  X(kSpawnerLostKilled, "spawner.lost.killed", \
    "what a lost job left is dead, no record is written") \
  X(kSpawnerLostWritten, "spawner.lost.written", "the record says lost, nobody was told") \
  X(kSpawnerReporting, "spawner.reporting", "the controller has the end, no mark says so") \
  X(kSpawnerReported, "spawner.reported", "the mark is there") \
  X(kSpawnerRemoving, "spawner.removing", "before an attempt's directory is emptied") \
  X(kShimSettled, "shim.settled", "a process of its own, nothing on disk") \
  X(kShimPrepared, "shim.prepared", "its directory waits under a passing name") \
  X(kShimOrdered, "shim.ordered", "it has the order") \
  X(kShimSpecCopied, "shim.spec.copied", "spec is there, meta is not") \
  X(kShimMetaCopied, "shim.meta.copied", "the attempt is accepted for good") \
  X(kShimForked, "shim.forked", "the job's process waits, nothing is on record") \
  X(kShimJoined, "shim.joined", "the job's process has its limits") \
  X(kShimStartedWritten, "shim.started.written", "the start is on record, the job waits") \
  X(kShimGoSent, "shim.go.sent", "the job execs") \
  X(kShimOutputRead, "shim.output.read", "output is in memory only") \
  X(kShimOutputAppended, "shim.output.appended", "output is in the spool, nobody was told") \
  X(kShimSegmentOpened, "shim.segment.opened", "a new segment has its header") \
  X(kShimStdinTaken, "shim.stdin.taken", "stdin is accepted, it is not acknowledged") \
  X(kShimStdinEnded, "shim.stdin.ended", "stdin's end is accepted") \
  X(kShimLeaderReaped, "shim.leader.reaped", \
    "the job's leader is gone, its status in memory only") \
  X(kShimDrained, "shim.drained", "all output is in the spool, nothing is synced") \
  X(kShimSynced, "shim.synced", "the spool is synced, the cgroup is there") \
  X(kShimRecording, "shim.recording", "before the record is written") \
  X(kShimRecorded, "shim.recorded", "the record has its name, nobody was told") \
  X(kShimEndSent, "shim.end.sent", "net was told") \
  X(kJobForked, "job.forked", "the job's process, still a copy of the shim") \
  X(kJobReady, "job.ready", "all but exec is done, leave has not come") \
  X(kJobReleased, "job.released", "leave has come, exec is next") \
  X(kFileWritten, "file.written", "a journal file is complete under its passing name") \
  X(kFileSync, "file.sync", "errno of a journal file's sync") \
  X(kSpoolWrite, "spool.write", "errno of an append to a spool")
// clang-format on
