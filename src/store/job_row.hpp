// Reading a row of the jobs table (`SELECT *`), with its checksum compared. Internal to src/store:
// jobs.cpp has it, job_list.cpp uses it.
#pragma once

#include "src/store/jobs.hpp"
#include "src/store/sql.hpp"

namespace rexec::store {

JobRow read_job(Database& db, Run& from);

}  // namespace rexec::store
