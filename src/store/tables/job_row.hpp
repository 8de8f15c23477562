// Reading a row of the jobs table (`SELECT *`), with its checksum compared. Internal to src/store:
// jobs.cpp has it, job_list.cpp uses it.
#pragma once

#include "src/store/database/sql.hpp"
#include "src/store/tables/jobs.hpp"

namespace rexec::store {

JobRow read_job(Database& db, Run& from);

}  // namespace rexec::store
