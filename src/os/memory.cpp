#include "src/os/memory.hpp"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace rexec::os {
namespace {

// Only segments that were never writable: their pages are the file's, nothing in them is ours.
int drop_read_only(dl_phdr_info* program, std::size_t, void*) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < program->dlpi_phnum; ++i) {
    const auto& segment = program->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t start = program->dlpi_addr + segment.p_vaddr;
    const std::uintptr_t from = start & ~(page - 1);
    const std::uintptr_t until = (start + segment.p_filesz) & ~(page - 1);
    if (until > from)
      ::madvise(reinterpret_cast<void*>(from), until - from,  // NOLINT: an address of the kernel's
                MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void return_unused_memory() {
  ::malloc_trim(0);
  ::dl_iterate_phdr(drop_read_only, nullptr);
}

}  // namespace rexec::os
